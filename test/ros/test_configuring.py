"""A node whose network takes minutes to prepare (F11, E4): seen, alive, and ended at once when asked."""

import time
from pathlib import Path

import pytest
from graph import Graph, NodeProcess, wait_for

from depth_ros.errors import InferenceError

pytestmark = [pytest.mark.ros, pytest.mark.slow]

BUILDING_NODE = """
import sys, time
sys.path.insert(0, {path!r})
from depth_ros.ros import node_process
node_process.catch_signals()
from depth_ros.errors import InferenceError
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros.stereo_node import StereoDepthNode

def make(settings, watch):
    end_s = time.monotonic() + {seconds}
    while time.monotonic() < end_s:
        watch.report('building the engine of net.onnx: 5 s')
        if watch.cancelled():
            raise InferenceError('building was given up')
        time.sleep(0.1)
    return FakeEstimator()

sys.exit(node_process.run(lambda: StereoDepthNode(make)))
"""


def building_node(tmp_path, graph, seconds):
    script = tmp_path / 'node.py'
    script.write_text(BUILDING_NODE.format(path=str(Path(__file__).parents[1]), seconds=seconds))
    return NodeProcess(graph.domain, script=str(script))


def test_f11_a_node_that_builds_reports_answers_and_then_works(tmp_path):
    with Graph(node=False) as graph, building_node(tmp_path, graph, 6.0) as running:
        _, words, values = graph.wait_for_status('building the engine of net.onnx: 5 s')
        assert words.startswith('configuring: ') and values['lifecycle'] == 'configuring'
        assert graph.get_parameter('quality', 'stereo_depth').string_value == 'balanced'  # while it builds
        assert graph.status()[2]['lifecycle'] == 'configuring'
        graph.open_camera()
        wait_for(lambda: graph.send() and time.sleep(0.1) is None and graph.received['depth/image_rect'])
        running.signal()
        assert running.end()[0] == 0


def test_e4_a_node_that_builds_an_engine_ends_on_a_signal(tmp_path):
    with Graph(node=False) as graph, building_node(tmp_path, graph, 60.0) as running:
        graph.wait_for_status('building the engine')
        running.signal()
        code, output, _ = running.end()
        assert code == 0 and 'Traceback' not in output, output


def test_a_manager_that_configures_sees_progress_although_it_waits():
    def make(settings, watch):
        end_s = time.monotonic() + 2.0
        while time.monotonic() < end_s:
            watch.report('building the engine: 1 s')
            assert not watch.cancelled()
            time.sleep(0.1)
        raise InferenceError('no kernel for it')

    with Graph({'autostart': False}, make) as graph:
        assert not graph.change_state('configure')
        seen = [message.status[0].message for message in graph.received['/diagnostics']]
        assert 'configuring: building the engine: 1 s' in seen
        assert 'no kernel for it' in graph.wait_for_status('cannot configure')[1]
        assert graph.lifecycle_state() == 'unconfigured'
