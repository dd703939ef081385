"""``sim_camera`` as a camera for both nodes, on a live graph."""

import numpy as np
import pytest
from domains import next_domain
from graph import Graph, MonoGraph, NodeProcess, wait_for
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image, LaserScan

from depth_ros.evaluation.depth_metrics import depth_accuracy
from depth_ros.messages import read_messages
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.ros.diagnostics import ERROR, WARN

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'
SIMULATOR_MODEL = {'model': 'sim-indoor', 'allow_simulator_model': True}


def floats(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def subscribe(graph, kind, topic):
    graph.probe.create_subscription(kind, topic, graph._keep(topic), 20)


def compared(graph):
    """Return the accuracy of every depth image, compared with the exact depth of the same stamp."""
    truth = {read_messages.stamp_ns(m.header.stamp): floats(m) for m in graph.received['truth/depth']}
    got = {read_messages.stamp_ns(m.header.stamp): floats(m) for m in graph.received[DEPTH]}
    return [depth_accuracy(got[stamp], truth[stamp]) for stamp in got if stamp in truth]


def test_stereo_depth_measures_the_simulated_world():
    with Graph({'quality': 'strict'}, stereo_estimator, listen=(DEPTH,)) as graph:
        for kind, topic in ((Image, 'truth/depth'), (Odometry, 'odom'), (LaserScan, 'scan')):
            subscribe(graph, kind, topic)
        with NodeProcess(
            graph.domain, '--ros-args', '-p', 'rate_hz:=5.0', module='depth_ros.tools.sim_camera'
        ) as camera:
            graph.wait_for_messages(DEPTH, 5)
            wait_for(lambda: len(compared(graph)) >= 3)
            camera.signal()
            code, output, _ = camera.end()
        assert code == 0 and '"frames_sent"' in output
        assert np.median([a.abs_rel for a in compared(graph)]) < 0.05
        first, last = graph.received['odom'][0].pose.pose.position, graph.received['odom'][-1].pose.pose.position
        assert (first.x, first.y) != (last.x, last.y)
        assert len(graph.received['scan'][0].ranges) == 360 and min(graph.received['scan'][0].ranges) > 0


def test_mono_depth_works_offline_with_the_included_network():
    with MonoGraph(SIMULATOR_MODEL, mono_estimator, listen=(DEPTH, 'points')) as graph:
        subscribe(graph, Image, 'truth/depth')
        arguments = ('--ros-args', '-p', 'baseline_m:=0.0', '-p', 'seed:=501')
        with NodeProcess(graph.domain, *arguments, module='depth_ros.tools.sim_camera'):
            graph.wait_for_messages(DEPTH, 10)
            graph.wait_for_messages('points', 5)
            wait_for(lambda: len(compared(graph)) >= 5)
            level, _, values = graph.wait_for_status('its depth is invalid')
            assert level == WARN and float(values['rate_hz']) > 0 and 'depth is invalid' in values['caution']
        assert np.mean([a.abs_rel for a in compared(graph)]) < 0.25


def test_the_network_for_the_simulator_publishes_nothing_unless_it_is_allowed_explicitly():
    with MonoGraph({'model': 'sim-indoor'}, mono_estimator, listen=(DEPTH,)) as graph:
        level, words, _ = graph.wait_for_status('cannot configure')
        assert level == ERROR and 'set allow_simulator_model: true' in words
        assert graph.lifecycle_state('mono_depth') == 'unconfigured'


def test_an_invalid_simulation_is_reported():
    with NodeProcess(
        next_domain(), '--ros-args', '-p', 'focal_px:=-1.0', module='depth_ros.tools.sim_camera'
    ) as camera:
        code, output, _ = camera.end()
    assert code == 1 and 'focal_px -1' in output and 'Traceback' not in output
