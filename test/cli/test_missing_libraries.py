"""A library that an extra brings and that is not there is one line with the command that installs it."""

import subprocess
import sys

import pytest
from bag_files import write_bag


@pytest.mark.parametrize(
    ('library', 'arguments', 'extra'),
    [
        ('rosbags', ['bag', 'info', 'x'], 'bags'),
        ('h5py', ['eval', 'nyu.mat'], 'eval'),
        ('matplotlib', ['eval', 'sim:1:1', '--out', 'out'], 'eval'),
        ('viser', ['view'], 'view'),
        ('torch', ['models', 'export', 'depth-anything-v2-small', '--weights', 'x', '--out', 'x.onnx'], 'export'),
    ],
)
def test_it_is_named_with_its_extra(tmp_path, library, arguments, extra):
    (tmp_path / 'nyu.mat').write_bytes(b'')
    program = (
        f'import sys; sys.modules["{library}"] = None; from depth_ros.cli.main import main; sys.exit(main({arguments}))'
    )
    ended = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    said = [line for line in ended.stderr.splitlines() if library in line]
    assert ended.returncode == 1 and len(said) == 1 and f'pip install depth_ros[{extra}]' in said[0], ended.stderr
    assert 'Traceback' not in ended.stderr


@pytest.mark.parametrize('arguments', [['demo'], ['view'], ['bench', 'graph'], ['bag', 'play', 'bag']])
def test_commands_that_start_nodes_say_that_ros_is_missing(tmp_path, arguments):
    write_bag(tmp_path / 'bag', frames=1)
    program = (
        f'import sys; sys.modules["rclpy"] = None; from depth_ros.cli.main import main; sys.exit(main({arguments}))'
    )
    ended = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and ended.stderr.count('\n') == 1, ended.stderr
    assert 'this command starts ROS 2 nodes, and rclpy' in ended.stderr
