"""Family H of the fault list in minutes instead of hours: soak, chaos, a recording with limits, figures of a run."""

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from bag_files import simulated_drive
from domains import isolated_environment, next_domain
from graph import Graph, NodeProcess, wait_for
from sensor_msgs.msg import CameraInfo, Image

from depth_ros.bags.bag_processing import process_recording
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.evaluation.recording_check import Reference, check_limits, measure
from depth_ros.messages import read_messages
from depth_ros.settings.node_settings import StereoSettings

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'


def holdings(process):
    """Return memory in MiB, threads, descriptors and shared-memory files of a process."""
    maps = Path(f'/proc/{process.pid}/maps').read_text()
    files = {line.rpartition(' ')[2] for line in maps.splitlines() if '/dev/shm/' in line}
    return process.memory_info().rss / 2**20, process.num_threads(), process.num_fds(), len(files)


def test_h1_memory_threads_descriptors_and_age_stay_flat():
    with (
        Graph(node=False, listen=(DEPTH, 'points'), width=640, height=480) as graph,
        NodeProcess(graph.domain, module='depth_ros.tools.null_node') as running,
    ):
        graph.open_camera()
        node = psutil.Process(running.popen.pid)
        graph.stream(150, rate_hz=30.0)
        begin, first = holdings(node), len(graph.received[DEPTH])
        graph.stream(300, rate_hz=30.0)
        end = holdings(node)
        ages = [
            arrived - read_messages.stamp_ns(message.header.stamp) / 1e9 + time.time() - time.monotonic()
            for arrived, message in zip(graph.arrived_s[DEPTH], graph.received[DEPTH], strict=True)
        ][first:]
        running.signal()
        assert running.end()[0] == 0
    print(f'MiB, threads, descriptors, segments: {begin} → {end}; age p50 {np.median(ages):.3f} s')
    assert end[0] - begin[0] < 8, (begin, end)
    assert all(after <= before for after, before in zip(end[1:], begin[1:], strict=True)), (begin, end)
    assert len(ages) > 100
    assert np.median(ages[-50:]) < 2 * np.median(ages[:50]) + 0.1


class Chaos:
    """Sends what the families A to C describe, by weighted chance."""

    def __init__(self, graph, seed):
        self.graph, self.random = graph, random.Random(seed)
        self.kinds = {
            self.good: 6, self.cut_short: 1, self.foreign_encoding: 1, self.empty: 1, self.one_side: 1,
            self.garbage: 1, self.uncalibrated: 1, self.zero_stamp: 1, self.jump: 1, self.skewed: 1, self.parameter: 1,
            self.new_camera: 0.2, self.lifecycle: 0.2,
        }  # fmt: skip

    def step(self):
        (kind,) = self.random.choices(list(self.kinds), list(self.kinds.values()))
        kind()
        time.sleep(self.random.choice((0.0, 0.01, 0.05)))

    def good(self):
        self.graph.send()

    def cut_short(self):
        message = self.graph.image(self.graph.head())
        message.data = message.data[: self.random.randrange(len(message.data))]
        self.graph.send(**{self.random.choice(('left', 'right')): message})

    def foreign_encoding(self):
        message = self.graph.image(self.graph.head())
        message.encoding = self.random.choice(('', 'foo', 'rgb8', '32FC1'))
        self.graph.send(left=message)

    def empty(self):
        self.graph.send(right=Image(encoding='mono8'))

    def one_side(self):
        self.graph.publisher(Image, 'left/image_rect').publish(self.graph.image(self.graph.head()))

    def garbage(self):
        sample = self.random.randbytes(self.random.randrange(200))
        self.graph.publisher(Image, 'left/image_rect').publish(sample)
        self.graph.publisher(CameraInfo, 'right/camera_info').publish(sample)

    def uncalibrated(self):
        self.graph.send(k=[0.0] * 9, p=[self.random.choice((0.0, float('nan')))] * 12)

    def zero_stamp(self):
        self.graph.send(stamp_ns=0)

    def jump(self):
        now_ns = self.graph.probe.get_clock().now().nanoseconds
        self.graph.send(stamp_ns=now_ns + self.random.choice((-3600, -10, 10, 3600)) * 10**9)

    def skewed(self):
        self.graph.send(skew_ns=self.random.randrange(40_000_000))

    def parameter(self):
        self.graph.set_parameters(range_min_m=self.random.choice((0.5, 1.0, 100.0)))

    def new_camera(self):
        self.graph.close_camera()
        self.graph.open_camera()

    def lifecycle(self):
        assert self.graph.change_state('deactivate') and self.graph.change_state('activate')


def test_h3_chaos_leaves_a_node_that_works_and_accounts_for_every_frame():
    seed = random.randrange(2**32)
    print(f'seed {seed}')
    wild = random.Random(seed)

    def make(settings, listener):
        return FakeEstimator(latency_s=0.005, fail_at=lambda n: wild.random() < 0.1)

    threads = threading.active_count()
    with Graph(make_estimator=make, listen=(DEPTH, 'depth/camera_info')) as graph:
        graph.open_camera()
        chaos, end_s = Chaos(graph, seed), time.monotonic() + 10.0
        while time.monotonic() < end_s:
            chaos.step()
        for message in graph.received[DEPTH]:  # G2: whatever was published is honest
            assert message.encoding == '32FC1' and (message.width, message.height) == (64, 48)
            depth_m = np.frombuffer(message.data, np.float32)
            np.testing.assert_allclose(depth_m[np.isfinite(depth_m)], 300.0 * 0.1 / 16.0, rtol=1e-6)
        before = len(graph.received[DEPTH])
        wait_for(lambda: graph.send() and time.sleep(0.1) is None and len(graph.received[DEPTH]) > before + 2, 5.0)
        assert graph.lifecycle_state() == 'active' and graph.change_state('deactivate')
        account = graph.node.accounting.counts()  # G3: nothing waits any more
        assert account.in_flight == 0 and account.received == account.published + sum(account.dropped.values()), account
    assert threading.active_count() <= threads


def test_h4_a_recording_keeps_its_limits(tmp_path):
    simulated_drive(tmp_path / 'drive', 3)
    process_recording(tmp_path / 'drive', tmp_path / 'depth', StereoSettings(), keep_inputs=True)
    figures = measure(tmp_path / 'depth', reference=Reference('/truth/depth', bag=tmp_path / 'drive'))
    print(figures)
    limits = {
        'valid_share': {'min': 0.5}, 'abs_rel': {'max': 0.05}, 'delta1': {'min': 0.95}, 'rate_hz': {'min': 9.5},
        'drop_share': {'max': 0.0}, 'damaged': {'max': 0.0},
    }  # fmt: skip
    broken = [result.describe() for result in check_limits(figures, limits) if not result.kept]
    assert not broken, '; '.join(broken)


def test_h5_a_run_at_a_fixed_rate_gives_comparable_figures(tmp_path):
    rate_hz = 10
    size = ['--width', '320', '--height', '240', '--rate', str(rate_hz), '--seconds', '4']
    command = [sys.executable, '-m', 'depth_ros.cli.main', 'bench', 'graph', *size, '--json', 'figures.json']
    done = subprocess.run(
        command, cwd=tmp_path, env=isolated_environment(next_domain()), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / 'figures.json').read_text())
    print(figures)
    assert figures['sent'] == figures['received'] + sum(figures['dropped'].values())
    assert figures['sent'] >= 3 * rate_hz
    assert 0 < figures['age_ms']['p50'] <= figures['age_ms']['p95'] <= figures['age_ms']['p99']
