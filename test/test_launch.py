"""The launch files: started for real where `launch_ros` is installed (it is not on PyPI), read as text everywhere."""

import ast
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from domains import isolated_environment
from graph import Graph, MonoGraph
from tiny_model import model

ROOT = Path(__file__).parents[1]
try:
    import launch_ros.actions  # noqa: F401
except ImportError as error:
    NO_LAUNCH = f'launch_ros is not installed ({error}); it comes with a ROS 2 installation, not from PyPI'
else:
    NO_LAUNCH = ''


def run_launch(domain, *arguments, file='stereo'):
    """Start the launch file as ros2 launch does."""
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
    return subprocess.Popen(
        command, env=isolated_environment(domain), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


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
            graph.send()
            graph.wait_for_messages('depth/image_rect')
            assert graph.get_parameter('camera_height_m', 'mono_depth').double_value == 0.4
        finally:
            launch.send_signal(signal.SIGINT)
            output, _ = launch.communicate(timeout=15)
    assert launch.returncode == 0 and 'process has finished cleanly' in output, output


@pytest.mark.parametrize('file', ['stereo', 'mono'])
def test_the_launch_file_declares_what_people_expect(file):
    ast.parse((ROOT / f'launch/{file}.launch.py').read_text())
    text = (ROOT / 'depth_ros/launching.py').read_text()
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
        assert f"('{argument}'," in text


# Of rviz_default_plugins since Humble, as far as our file uses them.
RVIZ_CLASSES = {
    *(f'rviz_default_plugins/{name}' for name in ('DepthCloud', 'Image', 'LaserScan', 'PointCloud2', 'TF')),
    *(f'rviz_default_plugins/{name}' for name in ('Measure', 'MoveCamera', 'Orbit', 'Select')),
    *(f'rviz_common/{name}' for name in ('Displays', 'Views')),
}
TYPES = {'PointCloud2': 'PointCloud2', 'LaserScan': 'LaserScan', 'Image': 'Image'}


def test_the_rviz_file_shows_topics_that_exist_with_a_quality_that_reaches_them():
    outputs = import_module('depth_ros.ros.outputs').TOPICS
    file = yaml.safe_load((ROOT / 'config/depth.rviz').read_text())
    displays = {display['Name']: display for display in file['Visualization Manager']['Displays']}
    for display in displays.values():
        kind, topic = display['Class'].rpartition('/')[2], display.get('Topic')
        if topic is None:
            continue
        name = topic['Value'].lstrip('/')
        if name in outputs:  # our publishers are reliable: either policy hears them
            assert outputs[name].__name__ == TYPES[kind] and topic['Reliability Policy'] in ('Reliable', 'Best Effort')
        else:  # drivers' may not be
            assert name in ('left/image_rect', 'image') and topic['Reliability Policy'] == 'Best Effort'
    assert {'/points', '/depth/color', '/depth/image_rect', '/scan'} <= {
        display['Topic']['Value'] for display in displays.values() if 'Topic' in display
    }
    metres = displays['depth (metres)']
    assert metres['Normalize Range'] is False and metres['Min Value'] < metres['Max Value']  # inf and NaN blacken it
    cloud = next(display for display in displays.values() if display['Class'].endswith('DepthCloud'))
    assert cloud['Depth Map Topic'] == '/depth/image_rect' and 'depth/camera_info' in outputs


def test_the_rviz_file_names_classes_that_rviz_has():
    def classes(node):
        if isinstance(node, dict):
            yield from ([node['Class']] if node.get('Class') else [])
            node = list(node.values())
        for each in node if isinstance(node, list) else []:
            yield from classes(each)

    found = set(classes(yaml.safe_load((ROOT / 'config/depth.rviz').read_text())))
    assert found <= RVIZ_CLASSES and 'rviz_default_plugins/TF' in found
