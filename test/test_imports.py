"""Who may import what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'depth_ros'
ROS = {
    'rclpy',
    'sensor_msgs',
    'std_msgs',
    'stereo_msgs',
    'diagnostic_msgs',
    'builtin_interfaces',
    'rcl_interfaces',
    'lifecycle_msgs',
    'nav_msgs',
    'rosgraph_msgs',
}
NEEDS_ROS = {
    'cli/bag_play.py',
    'cli/doctor.py',
    'cli/graph.py',
    'cli/demo.py',
    'cli/demo_mono.py',
    'cli/results.py',
    'cli/bench_graph.py',
    'cli/bench_stages.py',
    'cli/null_node.py',
    'cli/view.py',
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def modules():
    return sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob('*.py'))


@pytest.mark.parametrize('name', [n for n in modules() if not n.startswith('ros/') and n not in NEEDS_ROS])
def test_only_the_ros_folder_and_the_commands_that_start_nodes_know_ros(name):
    names = set(imported(PACKAGE / name))
    assert not {n for n in names if n.split('.')[0] in ROS}
    assert not {n for n in names if n.startswith('depth_ros.ros')}


@pytest.mark.parametrize('name', [n for n in modules() if n.startswith('stages/')])
def test_stages_know_neither_clock_nor_log_nor_files(name):
    assert not set(imported(PACKAGE / name)) & {'time', 'datetime', 'logging', 'random', 'pathlib', 'os'}


def test_no_file_is_longer_than_a_reader_likes():
    long = {n: lines for n in modules() if (lines := len((PACKAGE / n).read_text().splitlines())) > 320}
    assert not long


@pytest.mark.parametrize('name', modules())
def test_arrays_are_typed_in_a_way_that_numpy_1_21_of_ubuntu_22_04_can_import(name):
    """np.ndarray and np.dtype cannot be subscripted there; numpy.typing.NDArray can."""
    subscripted = [
        node.value for node in ast.walk(ast.parse((PACKAGE / name).read_text())) if isinstance(node, ast.Subscript)
    ]
    assert not {ast.unparse(value) for value in subscripted} & {'np.ndarray', 'np.dtype'}
