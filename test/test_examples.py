"""Every example runs as documented and imports only the Python interface."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_files import write_bag
from graph import Graph, wait_for
from scenes import calibrations, pair, write_info
from tiny_model import MANIFEST, RELATIVE, model

import depth_ros

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / 'examples').glob('0*.py'))


def run(name, *arguments, cwd):
    path = next(each for each in EXAMPLES if each.name.startswith(name))
    return subprocess.run(
        [sys.executable, path, *map(str, arguments)], cwd=cwd, env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def grey(path, top, bottom):
    rows = np.linspace(top, bottom, 48, dtype=np.uint8)
    depth_ros.write_image(path, np.repeat(rows[:, None], 64, 1))
    return path


def test_the_interface_is_complete_and_sorted():
    assert depth_ros.__all__ == sorted(depth_ros.__all__)
    assert all(getattr(depth_ros, name) is not None for name in depth_ros.__all__)
    assert all(getattr(depth_ros, name).__doc__ for name in depth_ros.__all__)
    with pytest.raises(AttributeError, match='no attribute .nope.; it has .*StereoDepth'):
        depth_ros.nope  # noqa: B018


def test_importing_the_interface_imports_nothing_heavy():
    code = "import sys, depth_ros; assert not {'cv2', 'numpy', 'onnxruntime', 'rclpy'} & set(sys.modules)"
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.name)
def test_examples_use_only_the_python_interface(path):
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert not [node.module for node in imports if node.module and node.module.startswith('depth_ros.')]


def test_stereo_from_files_writes_depth_and_points(tmp_path):
    for side, image, calibration in zip(
        ('left', 'right'), pair(np.full((96, 160), 12.0, np.float32)), calibrations(160, 96), strict=True
    ):
        depth_ros.write_image(tmp_path / f'{side}.png', image)
        write_info(tmp_path / f'{side}.yaml', calibration)
    done = run('01', 'left.png', 'right.png', 'left.yaml', 'right.yaml', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'median 2.50 m' in done.stdout  # 300 px * 0.1 m / 12 px
    assert {'depth.png', 'depth_turbo.png', 'points.ply'} <= {path.name for path in tmp_path.iterdir()}


def test_a_metric_network_gives_metres_and_a_relative_one_states_what_is_missing(tmp_path):
    image = grey(tmp_path / 'image.png', 20, 20)
    done = run('02', model(tmp_path / 'metric', MANIFEST, plus=1.0), image, cwd=tmp_path)
    assert done.returncode == 0 and 'median 21.00 m' in done.stdout, done.stdout + done.stderr
    done = run('02', model(tmp_path / 'relative', RELATIVE), image, cwd=tmp_path)
    assert done.returncode == 1 and 'the depth is not in metres' in done.stderr


def test_two_known_distances_give_a_relative_network_scale_and_shift(tmp_path):
    image = grey(tmp_path / 'image.png', 40, 200)
    done = run('03', model(tmp_path / 'relative', RELATIVE), image, '5,0,4.0', '5,47,1.0', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    depth_m = np.load(tmp_path / 'depth.npy')
    assert depth_m[0, 5] == pytest.approx(4.0, rel=1e-3) and depth_m[47, 5] == pytest.approx(1.0, rel=1e-3)
    done = run('03', tmp_path / 'relative' / 'tiny.yaml', image, '5,0,1.0', '5,47,4.0', cwd=tmp_path)
    assert done.returncode != 0 and 'give no positive scale' in done.stderr  # nearness must grow with the prediction


def test_a_recording_becomes_a_recording_of_depth(tmp_path):
    write_bag(tmp_path / 'drive')
    done = run('04', 'drive', 'drive_depth', cwd=tmp_path)
    assert done.returncode == 0 and '5 of 5 frames' in done.stdout, done.stdout + done.stderr
    topics = yaml.safe_load((tmp_path / 'drive_depth' / 'metadata.yaml').read_text())
    names = [
        each['topic_metadata']['name'] for each in topics['rosbag2_bagfile_information']['topics_with_message_count']
    ]
    assert '/depth/image_rect' in names


@pytest.mark.skipif(importlib.util.find_spec('launch_ros') is None, reason='launch_ros comes with a ROS 2 installation')
def test_the_launch_example_describes_camera_and_depth(tmp_path):
    spec = importlib.util.spec_from_file_location('example', next(p for p in EXAMPLES if p.name.startswith('05')))
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert len(example.generate_launch_description().entities) == 3


@pytest.mark.ros
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ('cv_bridge', 'sensor_msgs_py'))),
    reason='cv_bridge and sensor_msgs_py come with a ROS 2 installation',
)
def test_the_subscriber_reads_depth_and_points(tmp_path):
    path, log = next(each for each in EXAMPLES if each.name.startswith('06')), tmp_path / 'log'
    with Graph() as graph, log.open('w') as out:
        graph.open_camera()
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(graph.domain)}
        reader = subprocess.Popen([sys.executable, path], stdout=out, stderr=subprocess.STDOUT, env=environment)
        try:
            for text in ('nearest pixel', 'nearest point'):
                wait_for(lambda text=text: graph.send() and text in log.read_text(), what=log.read_text)
        finally:
            reader.terminate()
            reader.wait()
