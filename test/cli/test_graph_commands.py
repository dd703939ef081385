"""`depth-ros demo` and the benchmarks: short runs on a live graph."""

import json
import subprocess
import sys

import numpy as np
import pytest
from domains import isolated_environment, next_domain
from graph import NodeProcess
from tiny_model import RELATIVE, model

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def depth_ros(*arguments, cwd, timeout=120):
    return subprocess.run(
        [sys.executable, '-m', 'depth_ros.cli.main', *arguments],
        capture_output=True, text=True, timeout=timeout, cwd=cwd, env=isolated_environment(next_domain()),
    )  # fmt: skip


def test_the_demo_measures_a_real_pair_and_writes_its_results(tmp_path):
    result = depth_ros('demo', '--seconds', '3', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / 'demo_output/report.json').read_text())
    assert report['depth_received'] > 3 and report['points_received'] > 3
    assert report['frames_sent'] >= report['depth_received']
    assert set(report['age_ms']) == {'p50', 'p95', 'p99'}
    assert report['valid_fraction'] >= 0.9 and report['bad2_fraction'] <= 0.05 and report['median_abs_rel'] <= 0.004
    assert (tmp_path / 'demo_output/depth_turbo.png').stat().st_size > 10_000
    assert (tmp_path / 'demo_output/points.ply').stat().st_size > 100_000
    assert 'Traceback' not in result.stderr
    assert 'median depth error' in result.stdout


def test_the_demo_fails_with_a_message_when_its_folder_cannot_be_created(tmp_path):
    (tmp_path / 'demo_output').write_text('a file')
    result = depth_ros('demo', '--seconds', '1', cwd=tmp_path)
    assert result.returncode == 1
    assert 'demo_output is a file; expected a folder for the results' in result.stderr


def test_bench_stages_reports_every_stage(tmp_path):
    result = depth_ros(
        'bench', 'stages', '--width', '320', '--height', '240', '--repeat', '5', '--json', '-', cwd=tmp_path
    )
    figures = json.loads(result.stdout)
    stages = ('decode', 'network_input', 'upsample', 'metres', 'depth_message', 'cloud_message')
    assert sum(figures[f'{s}_ms'] for s in stages) == pytest.approx(figures['total_ms'], abs=0.05)
    assert figures['floor_ms'] > 0 and figures['recipe_ms'] > 0


@pytest.mark.parametrize('extra', [[], ['--full-clouds']])
def test_bench_graph_counts_every_frame(tmp_path, extra):
    size = ['--width', '320', '--height', '240', '--rate', '20', '--seconds', '2']
    result = depth_ros('bench', 'graph', *size, *extra, '--json', '-', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures['sent'] == figures['received'] + sum(figures['dropped'].values())
    assert figures['received'] > 20 and figures['clouds_received'] > 5
    assert figures['age_ms']['p50'] > 0 and figures['cpu_percent'] > 0 and figures['rss_mb']['end'] > 0


def test_the_common_implementation_and_our_stages_agree_on_the_cloud():
    from depth_ros.cli.bench_stages import _common_implementation, _our_stages
    from depth_ros.ros.ros_messages import to_ros
    from depth_ros.types import Camera

    rng = np.random.default_rng(0)
    camera = Camera(64, 48, 50.0, 50.0, 32.0, 24.0)
    message = to_ros.image(rng.integers(0, 256, (48, 64, 3), np.uint8), 'rgb8', to_ros.header(1, 'camera'))
    raw = rng.uniform(4, 64, (24, 32)).astype(np.float32)
    value = None
    for _, stage in _our_stages(message, (32, 24), raw, camera):
        value = stage(value)
    common = _common_implementation(message, (32, 24), raw, camera)
    ours, expected = (np.frombuffer(m.data, np.float32).reshape(-1, 4) for m in (value, common))
    valid = np.isfinite(ours[:, 2])  # ours marks points out of range with NaN or Inf
    np.testing.assert_allclose(ours[valid, :3], expected[valid, :3], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ours[:, 3].view(np.uint32), expected[:, 3].view(np.uint32))


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        (['left:=nowhere.png', 'right:=nowhere.png', 'left_info:=a.yaml'], 'nowhere.png cannot be read'),
        (['left:=a.png'], "'left' is set without right and left_info"),
        (['rate_hz:=0.0'], 'rate_hz is 0'),
    ],
)
def test_a_file_camera_that_cannot_start_reports_the_reason(tmp_path, parameters, message):
    arguments = [a for p in parameters for a in ('-p', p)]
    with NodeProcess(next_domain(), '--ros-args', *arguments, module='depth_ros.tools.file_camera') as camera:
        code, output, _ = camera.end()
    assert code == 1 and message in output and 'Traceback' not in output


def test_the_mono_demo_measures_the_included_network(tmp_path):
    result = depth_ros('demo', '--mono', '--seconds', '3', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / 'demo_output/report.json').read_text())
    assert report['depth_received'] > 3 and report['points_received'] > 0
    assert report['abs_rel'] <= 0.15 and report['delta1'] >= 0.85
    assert 'AbsRel' in result.stdout


def test_the_multiview_demo_measures_a_moving_camera_with_odometry(tmp_path):
    result = depth_ros('demo', '--multiview', '--seconds', '4', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / 'demo_output/report.json').read_text())
    assert report['depth_received'] > 3 and report['points_received'] > 0
    assert 'multiview_depth (odometry, no network)' in result.stdout


def test_the_mono_demo_runs_another_metric_network_on_a_real_image(tmp_path):
    """A small network for LiteRT, whose depth is 2 m for black and 4.55 m for white pixels; it is not judged."""
    pytest.importorskip('ai_edge_litert')
    import tiny_tflite

    (tmp_path / 'tiny.yaml').write_text(tiny_tflite.MANIFEST.replace('scale: 1.0', 'scale: 0.01'))
    tiny_tflite.mean_of_channels(tmp_path / 'tiny.tflite', plus=2.0)
    result = depth_ros('demo', '--mono', '--model', 'tiny.tflite', '--seconds', '1', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / 'demo_output/report.json').read_text())
    assert report['depth_received'] > 2 and report['points_received'] > 0 and 0 < report['delta1'] < 1
    assert 'mono_depth (tiny.tflite)' in result.stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--model', 'fastdepth-nyu'], '--model is given without --mono'),
        (['--mono', '--model', 'fastdepth-nyu'], 'does not exist. Get it with: depth-ros models pull fastdepth-nyu'),
        (['--mono', '--model', 'tiny.yaml'], '--model is tiny.yaml, which is not metric by itself'),
        (['--mono', '--model', 'raft-stereo'], 'is a stereo network; expected a mono network'),
    ],
)
def test_a_demo_whose_model_cannot_be_used_prints_the_reason(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    model(tmp_path, RELATIVE)
    result = depth_ros('demo', *arguments, cwd=tmp_path)
    assert result.returncode == 1 and message in result.stderr and 'Traceback' not in result.stderr
