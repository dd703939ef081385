"""Invalid arguments: exit code 2, the usage of the command, and one line that states what was expected."""

import subprocess
import sys

import pytest
from graph import Graph, NodeProcess, next_domain

from depth_ros.cli.main import main


def usage_error(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'usage', 'message'),
    [
        (['doctor', '-r', 'a=b'], 'doctor', "argument -r: 'a=b' is not a remapping; expected FROM:=TO"),
        (['doctor', '-r', 'a:=b:=c'], 'doctor', "'a:=b:=c' is not a remapping"),
        (['doctor', '-p', 'quality=strict'], 'doctor', "'quality=strict' is not a parameter; expected NAME:=VALUE"),
        (['doctor', '-p', 'quality:=[1'], 'doctor', "the value of 'quality:=[1' is not valid YAML"),
        (['doctor', '--params', 'missing.yaml'], 'doctor', 'missing.yaml does not exist; expected a file'),
        (['doctor', '--namespace', 'front-left'], 'doctor', "'front-left' is not a namespace"),
        (['bag', 'process', 'a', 'b', '-p', 'x=1'], 'bag process', 'expected NAME:=VALUE'),
        (['view', '-r', 'a=b'], 'view', 'expected FROM:=TO'),
        (['eval', 'sim:1', '-r', 'a=b'], 'eval', 'expected FROM:=TO'),
        (['models', 'bench', 'x', '--image-size', '640'], 'models bench', "'640' is not a size; expected WIDTHxHEIGHT"),
        (['doctor', '--speed', '3'], 'doctor', 'unrecognized arguments: --speed 3'),
        (['bag', 'info', 'x', '--speed'], 'bag info', 'unrecognized arguments: --speed'),
        (['models', 'list', '--speed'], 'models list', 'unrecognized arguments: --speed'),
    ],
)
def test_an_invalid_argument_shows_the_usage_of_its_command_and_what_was_expected(capsys, arguments, usage, message):
    if arguments[0] == 'view':
        pytest.importorskip('rclpy')
    error = usage_error(capsys, *arguments)
    assert error.startswith(f'usage: depth-ros {usage} [') and message in error.splitlines()[-1]


def test_an_invalid_argument_of_the_real_command_ends_without_traceback():
    command = [sys.executable, '-m', 'depth_ros.cli.main', 'doctor', '-r', 'a=b']
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and 'Traceback' not in ended.stderr and 'expected FROM:=TO' in ended.stderr


def test_parameters_without_ros_parameters_are_refused(tmp_path, capsys):
    path = tmp_path / 'flat.yaml'
    path.write_text('range_max_m: 5.0\n')
    assert main(['doctor', '--offline', '--params', str(path)]) == 1
    assert "flat.yaml has no 'ros__parameters'; expected parameters below" in capsys.readouterr().err
    path.write_text('stereo_depth:\n  ros__parameters: [1\n')
    assert main(['doctor', '--offline', '--params', str(path)]) == 1
    error = capsys.readouterr().err
    assert 'flat.yaml cannot be read as parameters' in error and error.count('\n') == 1


@pytest.mark.parametrize('text', ['front', '/front', 'front/', '/front/'])
def test_a_namespace_needs_no_slash(text):
    from depth_ros.cli.argument_types import ros_namespace

    assert ros_namespace(text) == '/front'


def test_the_root_is_a_namespace():
    from depth_ros.cli.argument_types import ros_namespace

    assert ros_namespace('/') == ros_namespace('') == ''


@pytest.mark.ros
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['-r', 'a=b'], 'stereo_depth: -r a=b is not valid; expected FROM:=TO'),
        (['-p', 'quality=strict'], 'stereo_depth: -p quality=strict is not valid; expected NAME:=VALUE'),
        (
            ['--params-file', '/missing.yaml'],
            'stereo_depth: --params-file /missing.yaml is not a file; expected a YAML',
        ),
        (['--log-level', 'verbose'], 'stereo_depth: --log-level verbose is not valid; expected debug, info, warn'),
        (['--speed', '3'], "stereo_depth: unknown ROS arguments: ['--speed', '3']"),
    ],
)
def test_an_invalid_ros_argument_of_a_node_is_one_line_and_exit_code_2(arguments, message):
    with NodeProcess(next_domain(), '--ros-args', *arguments) as node:
        code, output, _ = node.end(30)
    assert code == 2 and message in output and 'Traceback' not in output


@pytest.mark.ros
@pytest.mark.parametrize(
    ('module', 'parameter', 'message'),
    [
        ('file_camera', 'rate:=5', "unknown parameter 'rate'; did you mean 'rate_hz'?"),
        ('file_camera', 'rate_hz:=fast', "rate_hz is 'fast' (str); expected a number"),
        ('file_camera', 'left:=5', "parameter 'left' to '5' of type 'INTEGER', expecting type 'STRING'"),
        pytest.param(
            'depth_viewer',
            'max_mbs:=5',
            "unknown parameter 'max_mbs'; did you mean 'max_mb_s'?",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'sim_camera',
            'basline_m:=0.0',
            "unknown parameter 'basline_m'; did you mean 'baseline_m'?",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_invalid_parameter_of_a_camera_or_the_viewer_is_reported(module, parameter, message):
    with NodeProcess(next_domain(), '--ros-args', '-p', parameter, module=f'depth_ros.tools.{module}') as node:
        code, output, _ = node.end(30)
    assert code == 1 and message in output and 'Traceback' not in output


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize('module', ['file_camera', 'sim_camera'])
def test_an_integer_is_accepted_as_a_rate(module):
    arguments = ('--ros-args', '-p', 'rate_hz:=5')
    with (
        Graph({}, listen=('depth/image_rect',)) as graph,
        NodeProcess(graph.domain, *arguments, module=f'depth_ros.tools.{module}') as camera,
    ):
        graph.wait_for_messages('depth/image_rect', 2)
        camera.signal()
        code, output, _ = camera.end(30)
    assert code == 0, output
