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
    'geometry_msgs',
    'rosgraph_msgs',
}
KNOWS_ROS = ('ros/', 'tools/')
STARTS_NODES = {
    'cli/bag_play.py',
    'cli/bench_graph.py',
    'cli/bench_stages.py',
    'cli/demo.py',
    'cli/demo_graph.py',
    'cli/demo_mono.py',
    'cli/demo_results.py',
    'cli/doctor.py',
    'cli/view.py',
}
ORDER = [
    'errors', 'memory', 'types', 'geometry', 'settings', 'stages', 'files', 'estimators', 'stereo', 'multiview', 'camera_state',
    'networks.runtimes', 'networks', 'scale', 'pipeline', 'multiview_pipeline', 'messages', 'bags', 'sim', 'evaluation', 'fleet',
    'estimation', 'python_interface', 'doctor', 'viewer', 'export', 'ros', 'tools', 'cli',
]  # fmt: skip
"""Every folder, and every module beside them, imports only what stands before it."""


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def modules():
    return sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob('*.py'))


@pytest.mark.parametrize('name', [n for n in modules() if not n.startswith(KNOWS_ROS) and n not in STARTS_NODES])
def test_only_nodes_and_the_commands_that_start_them_know_ros(name):
    names = set(imported(PACKAGE / name))
    assert not {n for n in names if n.split('.')[0] in ROS}
    assert not {n for n in names if n.startswith(('depth_ros.ros', 'depth_ros.tools'))}


def place(module):
    parts = module.split('.')[1:]
    return '.'.join(parts[:2]) if parts[:2] == ['networks', 'runtimes'] else parts[0]


@pytest.mark.parametrize('name', [n for n in modules() if n != '__init__.py'])
def test_folders_import_each_other_in_one_direction(name):
    own = place(f'depth_ros.{name.removesuffix(".py").replace("/", ".")}')
    below = ORDER[: ORDER.index(own)]
    others = {place(n) for n in imported(PACKAGE / name) if n.startswith('depth_ros.')} - {own}
    assert others <= set(below), f'{own} may import {", ".join(below)}'


def test_file_names_and_type_names_are_unique():
    names = [Path(n).name for n in modules() if not n.endswith('__init__.py')]
    assert not {n for n in names if names.count(n) > 1}
    types = [
        node.name
        for n in modules()
        for node in ast.parse((PACKAGE / n).read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_')
    ]
    assert not {n for n in types if types.count(n) > 1}


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
