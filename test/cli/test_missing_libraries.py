"""A missing library of an extra is reported in one line with the command that installs it."""

import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from bag_files import write_bag

from depth_ros.files.install_command import install_command


@pytest.mark.parametrize(
    ('library', 'arguments', 'installed'),
    [
        ('rosbags', ['bag', 'info', 'x'], "'rosbags>=0.11'"),
        ('h5py', ['eval', 'nyu.mat'], 'matplotlib h5py'),
        ('matplotlib', ['eval', 'sim:1:1', '--out', 'out'], 'matplotlib h5py'),
        ('viser', ['view'], 'viser'),
        (
            'torch',
            ['models', 'export', 'depth-anything-v2-small', '--weights', 'x', '--out', 'x.onnx'],
            'torch transformers diffusers onnx onnxruntime huggingface_hub',
        ),
    ],
)
def test_a_missing_library_is_reported_with_an_install_command(tmp_path, library, arguments, installed):
    (tmp_path / 'nyu.mat').write_bytes(b'')
    program = (
        f'import sys; sys.modules["{library}"] = None; from depth_ros.cli.main import main; sys.exit(main({arguments}))'
    )
    ended = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    lines = [line for line in ended.stderr.splitlines() if library in line]
    assert ended.returncode == 1 and len(lines) == 1, ended.stderr
    assert lines[0].endswith(f': {sys.executable} -m pip install {installed}')
    assert 'Traceback' not in ended.stderr


@pytest.mark.parametrize('arguments', [['demo'], ['view'], ['bench', 'graph'], ['bag', 'play', 'bag']])
def test_commands_that_start_nodes_report_that_ros_is_missing(tmp_path, arguments):
    write_bag(tmp_path / 'bag', frames=1)
    program = (
        f'import sys; sys.modules["rclpy"] = None; from depth_ros.cli.main import main; sys.exit(main({arguments}))'
    )
    ended = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and ended.stderr.count('\n') == 1, ended.stderr
    assert 'this command starts ROS 2 nodes, and rclpy' in ended.stderr


def test_a_checkout_that_was_never_installed_is_installed_with_the_extra(monkeypatch):
    def no_metadata(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr('depth_ros.files.install_command.requires', no_metadata)
    arguments = shlex.split(install_command('view'))
    assert arguments[:4] == [sys.executable, '-m', 'pip', 'install'] and arguments[4] == '-e'
    folder, _, extra = arguments[5].partition('[')
    assert (Path(folder) / 'setup.py').is_file() and extra == 'view]'
