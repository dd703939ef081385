"""How soon /diagnostics has the level of a fault: within one second, and as soon again when it is over."""

import time

import numpy as np
import pytest
from graph import Graph, wait_for
from sensor_msgs.msg import Image

from depth_ros.errors import DeviceLost
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros.diagnostics import ERROR, OK, WARN

pytestmark = [pytest.mark.ros, pytest.mark.slow]
LIMIT_S = 1.0
DEPTH = 'depth/image_rect'


def delay_s(graph, since_s, level, words, timeout_s=10.0):
    """Return how long after an instant the first status of a level and these words arrived."""

    def first():
        arrived = zip(graph.received['/diagnostics'], graph.arrived_s['/diagnostics'], strict=False)
        for message, at_s in list(arrived):
            status = message.status[0]
            if at_s >= since_s and status.level == level and words in status.message:
                return at_s - since_s
        return None

    return wait_for(first, timeout_s, lambda: f"no '{words}' of level {level!r} in {graph.status()}")


def works(graph):
    """Send frames until one has come back and diagnostics are OK."""
    graph.open_camera()
    graph.send()
    graph.wait_for_messages(DEPTH)
    assert graph.wait_for_status('Hz')[0] == OK


class Faulty(FakeEstimator):
    """Raises what it is told to raise."""

    error = None

    def estimate(self, frame):
        if self.error is not None:
            raise self.error
        return super().estimate(frame)


def test_a_lost_device_is_an_error_within_a_second():
    estimator = Faulty()
    with Graph(make_estimator=lambda settings, watch: estimator, listen=(DEPTH,)) as graph:
        works(graph)
        estimator.error = DeviceLost('CUDA failure 719')
        since_s = time.monotonic()
        graph.send()
        assert delay_s(graph, since_s, ERROR, 'the device is lost') < LIMIT_S


def test_thirty_failures_in_a_row_are_an_error_within_a_second_and_a_good_frame_ends_it_as_soon():
    estimator = Faulty()
    with Graph(make_estimator=lambda settings, watch: estimator, listen=(DEPTH,)) as graph:
        works(graph)
        estimator.error = RuntimeError('bug')
        for failures in range(1, 31):
            since_s = time.monotonic()
            graph.send()
            wait_for(lambda n=failures: graph.node.accounting.counts().dropped.get('estimator_failed') == n)
        assert delay_s(graph, since_s, ERROR, '30 consecutive frames failed') < LIMIT_S
        estimator.error = None
        since_s = time.monotonic()
        graph.send()
        assert delay_s(graph, since_s, OK, 'Hz') < LIMIT_S


def test_a_stuck_estimator_is_an_error_within_a_second_after_its_time_limit():
    estimator = FakeEstimator(latency_s=10.0)
    with Graph({'estimate_timeout_s': 0.5}, lambda settings, watch: estimator, listen=(DEPTH,)) as graph:
        graph.open_camera()
        since_s = time.monotonic() + 0.5
        graph.send()
        assert delay_s(graph, since_s, ERROR, 'processing one frame') < LIMIT_S


def test_a_publisher_of_another_qos_is_an_error_within_a_second():
    override = {'qos_overrides./left/image_rect.subscription.reliability': 'reliable'}
    with Graph(override, reliability='best_effort', listen=()) as graph:
        graph.wait_for_status('idle')
        since_s = time.monotonic()
        graph.publisher(Image, 'left/image_rect')
        assert delay_s(graph, since_s, ERROR, 'reliability of a publisher is incompatible') < LIMIT_S


@pytest.mark.parametrize(
    ('parameters', 'transition'),
    [
        ({'quality': 'best'}, 'configure'),
        ({'qos_overrides./points.publisher.history': 'all'}, 'configure'),
        ({'qos_overrides./left/image_rect.subscription.history': 'all'}, 'activate'),
    ],
)
def test_a_transition_that_fails_is_an_error_within_a_second(parameters, transition):
    with Graph({'autostart': False, **parameters}, listen=()) as graph:
        if transition == 'activate':
            assert graph.change_state('configure')
        wait_for(lambda: graph.received['/diagnostics'])
        since_s = time.monotonic()
        assert not graph.change_state(transition)
        assert delay_s(graph, since_s, ERROR, f'cannot {transition}') < LIMIT_S


def cut_short(graph):
    message = graph.image(graph.head())
    message.data = message.data[:-1]
    graph.send(left=message)


@pytest.mark.parametrize(
    ('fault', 'words'),
    [
        (cut_short, 'The message is truncated'),
        (lambda graph: graph.send(right=graph.image(graph.head(), np.zeros((24, 64), np.uint8))), 'the same size'),
        (lambda graph: graph.send(k=[0.0] * 9, p=[0.0] * 12), 'uncalibrated'),
        (lambda graph: graph.send(stamp_ns=0), 'accept_zero_stamps'),
    ],
    ids=['image', 'size', 'calibration', 'stamp'],
)
def test_a_bad_frame_is_a_warning_within_a_second_and_a_good_one_ends_it_as_soon(fault, words):
    with Graph(listen=(DEPTH,)) as graph:
        works(graph)
        since_s = time.monotonic()
        fault(graph)
        assert delay_s(graph, since_s, WARN, words) < LIMIT_S
        since_s = time.monotonic()
        graph.send()
        assert delay_s(graph, since_s, OK, 'Hz') < LIMIT_S


def test_silence_is_a_warning_within_a_second_after_the_two_that_are_waited():
    with Graph(listen=(DEPTH,)) as graph:
        works(graph)
        since_s = time.monotonic() + 2.0
        assert delay_s(graph, since_s, WARN, 'no left image') < LIMIT_S
