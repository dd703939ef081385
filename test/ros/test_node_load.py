"""Time and load on a live graph: families C3 and D of the fault list, and F14, F16 in a node."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import rclpy
from graph import Graph, MonoGraph, NodeProcess, wait_for
from models_scene import scene_runtime
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.messages import read_messages
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.ros.diagnostics import ERROR, WARN
from depth_ros.ros.ros_messages import to_ros

pytestmark = [pytest.mark.ros, pytest.mark.slow]
S = 1_000_000_000
DEPTH = 'depth/image_rect'
WALL_M = 300.0 * 0.1 / 16.0  # of the fake's wall, with the calibration of scenes.py


def stamps_of(graph):
    return [read_messages.stamp_ns(message.header.stamp) for message in graph.received[DEPTH]]


def check_account(graph):
    account = graph.wait_until_settled()
    assert account.received == account.published + sum(account.dropped.values()), account
    return account


@pytest.mark.parametrize('temporal', [False, True])
def test_c3_a_simulated_clock_may_stop_and_jump_an_hour_and_depth_and_diagnostics_go_on(temporal):
    with Graph({'use_sim_time': True, 'filter.temporal': temporal}, listen=(DEPTH,)) as graph:
        graph.open_camera()
        clock = graph.probe.create_publisher(Clock, '/clock', 10)
        wait_for(clock.get_subscription_count)

        def is_set(stamp):
            clock.publish(Clock(clock=to_ros.header(stamp, '').stamp))
            return graph.node.get_clock().now().nanoseconds == stamp

        def frames(start_s, clock_runs):
            for i in range(5):
                stamp = start_s * S + i * S // 10
                if clock_runs:
                    wait_for(lambda stamp=stamp: is_set(stamp))
                graph.send(stamp_ns=stamp)
                wait_for(lambda stamp=stamp: stamps_of(graph)[-1:] == [stamp])

        frames(10_000, clock_runs=True)
        frames(10_001, clock_runs=False)  # it has stopped
        frames(13_602, clock_runs=True)  # an hour ahead
        frames(10_002, clock_runs=True)  # an hour back
        graph.received['/diagnostics'].clear()
        graph.wait_for_status('Hz')
        assert check_account(graph).dropped == {}


def test_d2_after_a_burst_of_1000_frames_the_newest_is_worked_on_and_no_backlog_remains():
    with Graph(make_estimator=lambda settings, watch: FakeEstimator(latency_s=0.05), listen=(DEPTH,)) as graph:
        graph.open_camera()
        started_s = time.monotonic()
        newest = [graph.send() for _ in range(1000)][-1]
        ended_s = time.monotonic()
        wait_for(lambda: stamps_of(graph)[-1:] == [newest])
        assert graph.arrived_s[DEPTH][-1] - ended_s < 1.0
        account = check_account(graph)
        assert account.published <= (ended_s - started_s + 1.0) / 0.05
        assert stamps_of(graph) == sorted(stamps_of(graph))


def test_d4_subscribers_that_never_read_or_come_and_go_do_not_block_the_node():
    with Graph(listen=(DEPTH,)) as graph:
        graph.open_camera()
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=graph.domain)
        crowd = rclpy.create_node('crowd', context=context)
        for _ in range(20):  # nobody spins them
            crowd.create_subscription(Image, DEPTH, print, QoSProfile(depth=1))
        wait_for(lambda: graph.probe.count_subscribers(f'/{DEPTH}') == 21)
        graph.stream(40, rate_hz=20.0)
        account = check_account(graph)
        assert account.published >= 20
        assert account.work_ms < 50  # of one period of the camera: publishing has not blocked
        stop = threading.Event()
        camera = threading.Thread(target=lambda: [graph.stream(1, 20.0) for _ in iter(stop.is_set, True)])
        camera.start()
        for _ in range(40):
            visitor = crowd.create_subscription(Image, DEPTH, print, 10)
            time.sleep(0.025)
            crowd.destroy_subscription(visitor)
        stop.set()
        camera.join()
        newest = graph.send()
        wait_for(lambda: stamps_of(graph)[-1:] == [newest])
        check_account(graph)
        crowd.destroy_node()
        context.shutdown()


@pytest.mark.slow
def test_d7_a_node_without_a_camera_uses_less_than_3_percent_of_a_core():
    with Graph(node=False, listen=(DEPTH,)) as graph, NodeProcess(graph.domain) as running:
        graph.wait_for_status('')
        time.sleep(1.0)
        process = psutil.Process(running.popen.pid)
        before, started_s = process.cpu_times(), time.monotonic()
        time.sleep(3.0)
        after = process.cpu_times()
        share = (after.user + after.system - before.user - before.system) / (time.monotonic() - started_s)
        print(f'{share:.1%} of a core')
        assert share < 0.03


def test_d8_on_a_busy_machine_frames_may_be_dropped_but_none_is_wrong():
    spin = [sys.executable, '-c', 'while True: pass']
    busy = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        with Graph({'cloud_rate_hz': 0.0}, listen=(DEPTH, 'depth/camera_info', 'points')) as graph:
            graph.open_camera()
            sent = graph.stream(60, rate_hz=30.0)
            check_account(graph)
            assert len(graph.received[DEPTH]) >= 5 and set(stamps_of(graph)) <= set(sent)
            for message in graph.received[DEPTH]:
                np.testing.assert_allclose(np.frombuffer(message.data, np.float32), WALL_M, rtol=1e-6)
            for message in graph.received['points']:
                z = np.frombuffer(message.data, np.float32).reshape(-1, 4)[:, 2]
                np.testing.assert_allclose(z, WALL_M, rtol=1e-6)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_d10_images_that_never_arrive_are_reported_with_the_remedy():
    with Graph(listen=(DEPTH,)) as graph:
        graph.open_camera()
        for side in ('left', 'right'):  # only the small messages come through
            info = to_ros.calibration(graph.infos[side], graph.head())
            graph.publisher(CameraInfo, f'{side}/camera_info').publish(info)
        level, words, _ = graph.wait_for_status('no left image on /left/image_rect')
        assert level == WARN and 'although there are 1 publisher(s)' in words
        assert 'net.core.rmem_max' in words and 'Fast DDS profile' in words


def test_f14_thirty_maps_of_nan_in_a_row_are_an_error_with_a_hint():
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    backend = scene_runtime(manifest, (64, 48), nan_at=lambda n: n >= 2)  # two runs check the file at load
    with MonoGraph({'model': 'x'}, lambda settings, watch: MonoNetwork(manifest, backend), listen=(DEPTH,)) as graph:
        graph.open_camera()
        for sent in range(1, 31):
            graph.send()
            wait_for(lambda sent=sent: graph.node.accounting.counts().dropped.get('estimator_failed') == sent)
        level, words, _ = graph.wait_for_status('30 consecutive frames failed')
        assert level == ERROR and 'in half precision: use a fp32 export' in words
        assert not graph.received[DEPTH]


def test_f16_frames_are_estimated_one_at_a_time_on_the_worker_s_thread_only():
    threads, at_once = set(), []

    class Watched(FakeEstimator):
        def estimate(self, frame):
            threads.add(threading.current_thread().name)
            at_once.append(1)
            assert len(at_once) == 1
            try:
                return super().estimate(frame)
            finally:
                at_once.pop()

    with Graph(make_estimator=lambda settings, watch: Watched(latency_s=0.01), listen=(DEPTH,)) as graph:
        graph.open_camera()
        graph.stream(20, rate_hz=100.0)
        assert graph.set_parameters(quality='strict').successful  # another estimator takes over
        graph.stream(20, rate_hz=100.0)
        account = check_account(graph)
        assert account.published > 5 and 'estimator_failed' not in account.dropped
        assert threads == {'depth worker'}
