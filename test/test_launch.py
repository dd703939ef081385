"""The launch files: started where `launch_ros` is installed (it is not on PyPI), and checked as text everywhere."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from domains import isolated_environment, next_domain
from graph import Graph, MonoGraph, wait_for
from sensor_msgs.msg import CameraInfo, Image
from tiny_model import model

from depth_ros.ros.ros_messages import to_ros

ROOT = Path(__file__).parents[1]
try:
    import launch_ros.actions  # noqa: F401
except ImportError as error:
    NO_LAUNCH = f'launch_ros is not installed ({error}); it comes with a ROS 2 installation, not from PyPI'
else:
    NO_LAUNCH = ''


def run_launch(domain, *arguments, file='stereo', prefix=None):
    """Start the launch file as ros2 launch does; packages under ``prefix`` are found in addition to installed ones."""
    program = (
        'import sys; from launch import LaunchService; '
        'from launch.actions import IncludeLaunchDescription; '
        'from launch.launch_description_sources import PythonLaunchDescriptionSource as Source; '
        'from launch import LaunchDescription; '
        'service = LaunchService(); '
        'pairs = [a.split(":=") for a in sys.argv[2:]]; '
        'service.include_launch_description('
        'LaunchDescription([IncludeLaunchDescription(Source(sys.argv[1]), launch_arguments=pairs)])); '
        'sys.exit(service.run())'
    )
    command = [sys.executable, '-c', program, str(ROOT / f'launch/{file}.launch.py'), *arguments]
    environment = isolated_environment(domain)
    if prefix is not None:
        environment['AMENT_PREFIX_PATH'] = os.pathsep.join([str(prefix), environment['AMENT_PREFIX_PATH']])
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.ros
@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
def test_the_launch_file_starts_the_node_with_its_arguments_and_ends_it_cleanly():
    with Graph(node=False, listen=('depth/image_rect',), namespace='/robot') as graph:
        launch = run_launch(
            graph.domain,
            'namespace:=robot',
            'name:=eyes',
            'log_level:=warn',
            'left_image_rect:=camera/left',
            'autostart:=false',
        )
        try:
            assert graph.lifecycle_state('eyes') == 'unconfigured'
            assert graph.change_state('configure', 'eyes') and graph.change_state('activate', 'eyes')
            assert graph.lifecycle_state('eyes') == 'active'
            topics = dict(graph.probe.get_topic_names_and_types())
            assert '/robot/camera/left' in topics and '/robot/right/image_rect' in topics
        finally:
            launch.send_signal(signal.SIGINT)
            output, _ = launch.communicate(timeout=15)
    assert launch.returncode == 0, output
    assert 'process has finished cleanly' in output and 'Traceback' not in output, output


@pytest.mark.ros
@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
def test_the_mono_launch_file_starts_a_network(tmp_path):
    with MonoGraph(node=False, listen=('depth/image_rect',)) as graph:
        parameters = tmp_path / 'parameters.yaml'
        parameters.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'model': str(model(tmp_path))}}}))
        arguments = (f'params_file:={parameters}', 'camera_height_m:=0.4', 'log_level:=warn')
        launch = run_launch(graph.domain, *arguments, file='mono')
        try:
            graph.open_camera()
            graph.send_until(lambda: graph.received['depth/image_rect'])
            assert graph.get_parameter('camera_height_m', 'mono_depth').double_value == 0.4
        finally:
            launch.send_signal(signal.SIGINT)
            output, _ = launch.communicate(timeout=15)
    assert launch.returncode == 0 and 'process has finished cleanly' in output, output


@pytest.mark.ros
@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
@pytest.mark.parametrize(
    ('file', 'argument', 'message'),
    [
        ('stereo', 'rviz:=true', 'the package rviz2 is not installed. Install it'),
        ('stereo', 'rviz:=maybe', 'Argument "rviz" provided value "maybe" is not valid'),
        ('stereo', 'quality:=best', 'Argument "quality" provided value "best" is not valid'),
        ('stereo', 'camera_height_m:=abc', "camera_height_m is 'abc' (str); expected a number"),
        ('stereo', 'camera_pitch_rad:=90', 'camera_pitch_rad is 90.0; expected -1.5 to 1.5 rad'),
        ('stereo', 'params_file:=/no/such.yaml', 'params_file is /no/such.yaml, which does not exist'),
        ('multiview', 'extrinsics:=0 0 1', "extrinsics is '0 0 1'; expected six numbers"),
        ('mono', 'scale_source:=guess', 'Argument "scale_source" provided value "guess" is not valid'),
        ('mono', 'cameras:=front', "cameras is 'front'; expected a list of names such as [front, left]"),
    ],
)
def test_an_invalid_argument_ends_the_launch_before_a_process_starts(file, argument, message):
    if argument == 'rviz:=true' and rviz_is_installed():
        pytest.skip('rviz2 is installed')
    launch = run_launch(next_domain(), argument, file=file)
    output, _ = launch.communicate(timeout=60)
    assert launch.returncode == 1 and message in output, output
    assert 'process started' not in output and 'Traceback' not in output, output


def rviz_is_installed():
    from ament_index_python.packages import get_packages_with_prefixes

    return 'rviz2' in get_packages_with_prefixes()


RVIZ = """#!{python}
# Subscribes by name as RViz does: to the topics of the displays in the file, relative to the node's namespace, and for
# DepthCloud to the camera_info that image_transport::getCameraInfoTopic derives, whose name is absolute.
import json, sys
import rclpy, yaml
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
rclpy.init()
node = rclpy.create_node('rviz')
kinds = dict(Image=Image, LaserScan=LaserScan, PointCloud2=PointCloud2)
received = set()
def subscribe(kind, topic):
    topic = node.resolve_topic_name(topic)
    def on_message(message):
        received.add(topic)
        open({out!r}, 'w').write(json.dumps(sorted(received)))
    node.create_subscription(kind, topic, on_message, 5)
for display in yaml.safe_load(open(sys.argv[sys.argv.index('-d') + 1]))['Visualization Manager']['Displays']:
    kind = display['Class'].rpartition('/')[2]
    if kind in kinds:
        subscribe(kinds[kind], display['Topic']['Value'])
    elif kind == 'DepthCloud':
        subscribe(CameraInfo, '/' + display['Depth Map Topic'].strip('/').rpartition('/')[0] + '/camera_info')
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""


def install_fake_rviz(prefix, out):
    """Install a package rviz2 whose executable subscribes as RViz would."""
    marker, executable = prefix / 'share/ament_index/resource_index/packages/rviz2', prefix / 'lib/rviz2/rviz2'
    for path in (marker, executable):
        path.parent.mkdir(parents=True)
    marker.write_text('')
    executable.write_text(RVIZ.format(python=sys.executable, out=str(out)))
    executable.chmod(0o755)


@pytest.mark.ros
@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
def test_rviz_in_a_namespace_receives_the_topics_of_node_and_camera(tmp_path):
    received_file = tmp_path / 'received.json'
    install_fake_rviz(tmp_path / 'prefix', received_file)
    expected = {
        '/front/points',
        '/front/depth/image_rect',
        '/front/depth/color',
        '/front/depth/camera_info',
        '/cam/image',
    }
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'model': str(model(tmp_path / 'tiny'))}}}))
    arguments = ('namespace:=front', 'rviz:=true', 'image:=/cam/image', f'params_file:={parameters}')
    with MonoGraph(node=False, listen=()) as graph:
        launch = run_launch(graph.domain, *arguments, file='mono', prefix=tmp_path / 'prefix')
        try:
            images, infos = graph.publisher(Image, '/cam/image'), graph.publisher(CameraInfo, '/cam/camera_info')

            def all_received():
                head = graph.head()
                infos.publish(to_ros.calibration(graph.infos['left'], head))
                images.publish(graph.image(head))
                time.sleep(0.1)
                return received_file.is_file() and expected <= set(json.loads(received_file.read_text() or '[]'))

            wait_for(
                all_received,
                30,
                lambda: received_file.read_text() if received_file.is_file() else 'RViz received nothing',
            )
        finally:
            launch.send_signal(signal.SIGINT)
            output, _ = launch.communicate(timeout=30)
    assert launch.returncode == 0 and 'Traceback' not in output, output


@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({'image': '/cam/image_raw'}, '/cam/camera_info'),
        ({'image': 'cam/image_raw'}, 'cam/camera_info'),
        ({'image': '/image_raw'}, '/camera_info'),
        ({}, 'camera_info'),
        ({'image': '/cam/image_raw', 'camera_info': '/other/info'}, '/other/info'),
    ],
)
def test_camera_info_is_expected_beside_its_image_unless_it_is_named(given, expected):
    from depth_ros.tools.launch_description import _topics

    values = {'image': 'image', 'camera_info': '', **given}
    assert _topics(values, {'image': '', 'camera_info': 'image'})['camera_info'] == expected


@pytest.mark.parametrize('file', ['stereo', 'mono', 'multiview'])
def test_the_launch_file_declares_the_common_arguments(file):
    ast.parse((ROOT / f'launch/{file}.launch.py').read_text())
    text = (ROOT / 'depth_ros/tools/launch_description.py').read_text()
    for argument in (
        'name',
        'namespace',
        'params_file',
        'log_level',
        'use_sim_time',
        'rviz',
        'autostart',
        'shared_memory',
    ):
        assert f"_Argument('{argument}'," in text


# Classes of rviz_default_plugins and rviz_common since Humble that config/depth.rviz uses.
RVIZ_CLASSES = {
    *(
        f'rviz_default_plugins/{name}'
        for name in ('DepthCloud', 'Image', 'LaserScan', 'PointCloud2', 'PoseArray', 'TF')
    ),
    *(f'rviz_default_plugins/{name}' for name in ('Measure', 'MoveCamera', 'Orbit', 'Select')),
    *(f'rviz_common/{name}' for name in ('Displays', 'Views')),
}
TYPES = {'PointCloud2': 'PointCloud2', 'LaserScan': 'LaserScan', 'Image': 'Image', 'PoseArray': 'PoseArray'}


def test_the_rviz_file_shows_existing_topics_with_compatible_qos():
    outputs = import_module('depth_ros.ros.outputs').TOPICS
    file = yaml.safe_load((ROOT / 'config/depth.rviz').read_text())
    displays = {display['Name']: display for display in file['Visualization Manager']['Displays']}
    for display in displays.values():
        kind, topic = display['Class'].rpartition('/')[2], display.get('Topic')
        if topic is None:
            continue
        name = topic['Value']  # relative: RViz resolves it in the namespace of its node
        if name in outputs:  # the publishers of the node are reliable: compatible with either policy
            assert outputs[name].__name__ == TYPES[kind] and topic['Reliability Policy'] in ('Reliable', 'Best Effort')
        else:  # publishers of drivers may be best effort
            assert name in ('left/image_rect', 'image') and topic['Reliability Policy'] == 'Best Effort'
    assert {'points', 'depth/color', 'depth/image_rect', 'depth/relative', 'scan'} <= {
        display['Topic']['Value'] for display in displays.values() if 'Topic' in display
    }
    metres = displays['depth (metres)']
    assert (
        metres['Normalize Range'] is False and metres['Min Value'] < metres['Max Value']
    )  # with normalisation, Inf and NaN make the image black
    relative = displays['depth (relative; white is near)']
    assert (relative['Normalize Range'], relative['Min Value'], relative['Max Value']) == (False, 0, 1)
    cloud = next(display for display in displays.values() if display['Class'].endswith('DepthCloud'))
    assert cloud['Depth Map Topic'] == 'depth/image_rect' and 'depth/camera_info' in outputs


def test_the_rviz_file_names_classes_that_rviz_has():
    def classes(node):
        if isinstance(node, dict):
            yield from ([node['Class']] if node.get('Class') else [])
            node = list(node.values())
        for child in node if isinstance(node, list) else []:
            yield from classes(child)

    used = set(classes(yaml.safe_load((ROOT / 'config/depth.rviz').read_text())))
    assert used <= RVIZ_CLASSES and 'rviz_default_plugins/TF' in used
