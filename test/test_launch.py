"""The launch files: started for real where `launch_ros` is installed (it is not on PyPI), read as text everywhere."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from graph import Graph, MonoGraph, isolated_environment
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


def test_the_rviz_file_shows_the_topics_that_exist():
    displays = yaml.safe_load((ROOT / 'config/depth.rviz').read_text())['Visualization Manager']['Displays']
    topics = {display['Topic']['Value'] for display in displays}
    assert {'/points', '/depth/color', '/depth/image_rect'} <= topics
    depth = next(d for d in displays if d['Topic']['Value'] == '/depth/image_rect')
    assert depth['Normalize Range'] is False
