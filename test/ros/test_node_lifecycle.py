"""E4, E5: transitions, parameters, signals."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from domains import next_domain
from graph import Graph, NodeProcess, wait_for

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros.diagnostics import ERROR

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'


def test_without_autostart_a_manager_brings_it_up_and_down():
    with Graph({'autostart': False}, listen=(DEPTH,)) as graph:
        assert graph.lifecycle_state() == 'unconfigured'
        for transition, state in [
            ('configure', 'inactive'),
            ('activate', 'active'),
            ('deactivate', 'inactive'),
            ('cleanup', 'unconfigured'),
        ]:
            assert graph.change_state(transition)
            assert graph.lifecycle_state() == state
            if state == 'active':
                graph.open_camera()
                graph.send()
                graph.wait_for_messages(DEPTH)


def test_e5_no_leak_and_no_message_while_inactive_over_many_cycles():
    with Graph({'autostart': False}, listen=(DEPTH,)) as graph:
        node, stop = graph.node, threading.Event()
        camera = threading.Thread(target=lambda: [graph.stream(1, 60.0) for _ in iter(stop.is_set, True)])
        camera.start()
        try:
            for i in range(50):
                assert graph.change_state('configure')
                assert graph.change_state('activate')
                if i % 25 == 24:
                    before = len(graph.received[DEPTH])
                    graph.wait_for_messages(DEPTH, before + 1)
                assert graph.change_state('deactivate')
                if i == 20:
                    threads, descriptors = threading.active_count(), psutil.Process().num_fds()
                assert graph.change_state('cleanup')
            time.sleep(0.2)
            before = len(graph.received[DEPTH])
            time.sleep(0.5)
            assert len(graph.received[DEPTH]) == before
        finally:
            stop.set()
            camera.join()
        assert threading.active_count() <= threads
        assert psutil.Process().num_fds() <= descriptors + 2
        account = node.accounting.counts()
        assert account.in_flight == 0


def test_e5_deactivating_during_an_estimate_publishes_nothing_afterwards():
    estimator = FakeEstimator(latency_s=30.0)
    with Graph(make_estimator=lambda settings, watch: estimator) as graph:
        graph.open_camera()
        graph.send()
        wait_for(lambda: estimator.frames == 1)
        started = time.monotonic()
        assert graph.change_state('deactivate')
        assert time.monotonic() - started < 10
        account = graph.wait_until_settled()
        assert account.published == 0 and account.dropped == {'shutdown': 1}
        assert not graph.received[DEPTH]


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'quality': 'best'}, "quality is 'best' (str); expected one of fast, balanced, strict"),
        ({'range_min_m': -1.0}, 'range_min_m'),
        ({'range_min_m': 50.0}, 'expected range_min_m < range_max_m'),
        ({'max_disparity': 'many'}, "max_disparity is 'many' (str); expected a whole number"),
    ],
)
def test_e5_a_bad_configuration_fails_with_words_the_process_stays_and_a_repair_works(parameters, words):
    with Graph(parameters, listen=(DEPTH,)) as graph:
        level, text, _ = graph.wait_for_status('cannot configure')
        assert level == ERROR and words in text
        assert graph.lifecycle_state() == 'unconfigured'
        assert not graph.change_state('configure')
        repaired = {'quality': 'strict', 'range_min_m': 0.3, 'max_disparity': 64}
        name = next(iter(parameters))
        assert graph.set_parameters(**{name: repaired[name]}).successful
        assert graph.change_state('configure') and graph.change_state('activate')
        graph.open_camera()
        graph.send()
        graph.wait_for_messages(DEPTH)


def test_a_wrong_qos_override_is_named():
    name = 'qos_overrides./left/image_rect.subscription.reliability'
    with Graph({name: 'reliabel'}) as graph:
        level, text, _ = graph.wait_for_status('cannot activate')
        assert level == ERROR and "'reliabel'; expected one of best_available, best_effort, reliable" in text


def test_an_integer_is_accepted_for_a_float():
    with Graph({'range_max_m': 20}) as graph:
        assert graph.lifecycle_state() == 'active'
        assert graph.node._live_settings.current().range_max_m == 20.0


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('autostart', False, 'read-only'),
        ('image_transport', 'compressed', 'read-only'),
        ('quality', 'best', 'expected one of fast, balanced, strict'),
        ('cloud_stride', 0, 'cloud_stride'),
        ('range_min_m', 100.0, 'expected range_min_m < range_max_m'),
        ('cloud_stride', 1.5, '1.5 (float); expected a whole number'),
    ],
)
def test_an_invalid_change_is_rejected_with_a_reason(name, value, reason):
    with Graph() as graph:
        result = graph.set_parameters(**{name: value})
        assert not result.successful
        assert reason in result.reason


def test_changes_take_effect_with_the_next_frame():
    with Graph() as graph:
        graph.open_camera()
        graph.send()
        assert graph.wait_for_messages(DEPTH)[-1].encoding == '32FC1'
        assert graph.set_parameters(depth_encoding='16UC1', processing_scale=0.5).successful
        graph.send()
        depth = graph.wait_for_messages(DEPTH, 2)[-1]
        assert (depth.encoding, depth.width) == ('16UC1', 32)


def test_a_misspelt_parameter_is_named(capfd):
    with Graph({'rang_min_m': 1.0}):
        assert "unknown parameter 'rang_min_m'; did you mean 'range_min_m'?" in capfd.readouterr().err


SLOW_START = """
import sys, time
from depth_ros.ros import node_process
node_process.catch_signals()
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros.stereo_node import StereoDepthNode

def make(settings, watch):
    print('configuring', flush=True)
    time.sleep({configure_s})
    return FakeEstimator(latency_s={latency_s}, hang_at=lambda n: {hang})

sys.exit(node_process.run(lambda: StereoDepthNode(make)))
"""


STATES = {
    'loading': {'configure_s': 2.0, 'latency_s': 0.0, 'hang': False},
    'idle': {'configure_s': 0.0, 'latency_s': 0.0, 'hang': False},
    'estimating': {'configure_s': 0.0, 'latency_s': 30.0, 'hang': False},
    'hung': {'configure_s': 0.0, 'latency_s': 0.0, 'hang': True},
}
SIGNALS = [
    *((state, [signal.SIGINT]) for state in STATES),
    ('idle', [signal.SIGTERM]),
    *((state, [signal.SIGINT, signal.SIGTERM]) for state in ('loading', 'estimating', 'hung')),
    ('hung', [signal.SIGINT, signal.SIGINT]),
]


@pytest.mark.parametrize(('state', 'signals'), SIGNALS, ids=str)
def test_e4_signals_end_it_cleanly_in_every_state(tmp_path, state, signals):
    script = tmp_path / 'node.py'
    script.write_text(SLOW_START.format(**STATES[state]))
    with Graph(node=False, listen=(DEPTH,)) as graph, NodeProcess(graph.domain, script=str(script)) as running:
        if state == 'loading':
            assert running.popen.stdout.readline()
        else:
            graph.open_camera()
            if state != 'idle':
                graph.send_until(
                    lambda: graph.received['/diagnostics'] and graph.status()[2].get('in_flight', '0') != '0'
                )
        for number in signals:
            running.signal(number)
            time.sleep(0.1)
        code, output, seconds = running.end()
        assert code == 0, output
        assert seconds < 10.0  # 3 s on a machine that is not busy; a node that waits for its estimator takes 30 s
        assert 'Traceback' not in output


def test_e4_a_signal_during_the_imports_ends_it_cleanly():
    """Until the first imports of this package are done, Python's own handler ends the process."""
    for delay_s in (0.1, 0.2, 0.4):
        with NodeProcess(next_domain()) as running:
            wait_for(psutil.Process(running.popen.pid).children)  # the guard starts with the signal handlers
            time.sleep(delay_s)
            running.signal()
            code, output, _ = running.end()
        assert code == 0 and 'Traceback' not in output, output


def test_e2_the_node_outlives_cameras_that_are_killed():
    with Graph(node=True, listen=(DEPTH,)) as graph:
        for _ in range(2):
            with NodeProcess(graph.domain, module='depth_ros.tools.file_camera') as camera:
                before = len(graph.received[DEPTH])
                graph.wait_for_messages(DEPTH, before + 1)
                camera.signal(signal.SIGKILL)
                camera.popen.wait()


def test_the_executables_are_installed_beside_the_interpreter():
    for name in ('stereo_depth', 'file_camera', 'depth-ros'):
        assert os.access(Path(sys.executable).parent / name, os.X_OK)
