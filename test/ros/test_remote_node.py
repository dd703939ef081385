"""``mono_depth`` with a network on an inference server: age of the frames, loss of the server, substitute."""

import time
from itertools import pairwise

import numpy as np
import pytest
from graph import MonoGraph, wait_for
from tiny_model import model

pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')

from inference_server import InferenceServer
from triton_server import TritonServer, why_not

from depth_ros.cli.main import main
from depth_ros.networks import remote_network
from depth_ros.pipeline import mono_estimator
from depth_ros.ros.diagnostics import ERROR, OK, WARN

pytestmark = pytest.mark.ros
DEPTH = 'depth/image_rect'
ON_SERVER, SUBSTITUTED = 3.0, 8.0
"""Depth of an image of value 2, from the network on the server and from its substitute."""


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(remote_network, '_MIN_PAUSE_S', 0.05)
    monkeypatch.setattr(remote_network, '_MAX_PAUSE_S', 0.2)


@pytest.fixture
def served(tmp_path):
    """Return a manifest and its file, which is not where the node would find it."""
    manifest = model(tmp_path / 'model')
    (tmp_path / 'served').mkdir()
    return manifest, manifest.with_suffix('.onnx').rename(tmp_path / 'served/tiny.onnx')


def open_graph(served, server, **parameters):
    parameters = {'remote_deadline_ms': 5000.0, 'range_min_m': 0.1, **parameters}
    graph = MonoGraph(
        {'model': str(served[0]), 'device': 'remote', 'url': server.url(), **parameters}, mono_estimator, [DEPTH]
    )
    graph.open_camera()
    return graph


def send(graph):
    head = graph.head()
    return graph.send(image=graph.image(head, np.full((48, 64), 2, np.uint8)))


def send_until(graph, condition):
    """Publish images until a condition is true."""

    def sent():
        send(graph)
        time.sleep(0.03)
        return condition()

    wait_for(sent, 20.0)


def depths(graph):
    """Return the depth of every published frame, each made by one network alone."""
    found = []
    for message in graph.received[DEPTH]:
        values = np.frombuffer(message.data, np.float32)
        assert values.min() == pytest.approx(values.max(), abs=1e-5)
        found.append(round(float(values[0]), 3))
    return found


@pytest.mark.slow
def test_a_slow_server_drops_frames_but_no_backlog_forms(served):
    with InferenceServer({'tiny': served[1]}) as server, open_graph(served, server) as graph:
        send_until(graph, lambda: graph.received[DEPTH])
        server.delay_s = 0.2
        stamps = [send(graph) for _ in range(60) if not time.sleep(0.03)]
        before = len(graph.received[DEPTH])
        counts = graph.wait_until_settled()
        wait_for(lambda: len(graph.received[DEPTH]) == counts.published)
        assert len(graph.received[DEPTH]) - before <= 2  # the frame on the server, and the newest one
        newest = graph.received[DEPTH][-1].header.stamp
        assert newest.sec * 10**9 + newest.nanosec == stamps[-1]
        assert counts.dropped['superseded'] > 10
        assert counts.received == counts.published + sum(counts.dropped.values())


@pytest.mark.slow
def test_a_frame_without_an_answer_is_dropped_at_the_deadline_and_counted(served):
    with (
        InferenceServer({'tiny': served[1]}) as server,
        open_graph(served, server, remote_deadline_ms=100.0) as graph,
    ):
        send_until(graph, lambda: graph.received[DEPTH])
        server.delay_s = 60.0
        send_until(graph, lambda: graph.node.accounting.counts().dropped.get('deadline', 0) >= 1)
        graph.wait_for_status('did not answer within')
        send_until(graph, lambda: graph.node.accounting.counts().dropped.get('deadline', 0) >= 3)
        level, _, _ = graph.wait_for_status('no depth: grpc://')
        assert level == ERROR
        server.delay_s = 0.0
        before = len(graph.received[DEPTH])
        send_until(graph, lambda: len(graph.received[DEPTH]) > before)


def test_a_lost_server_is_an_error_with_its_reason_until_it_returns(served):
    with InferenceServer({'tiny': served[1]}) as server, open_graph(served, server) as graph:
        send_until(graph, lambda: graph.received[DEPTH])
        assert server.url() in graph.wait_for_status('Hz')[2]['estimator']
        server.stop()
        send_until(graph, lambda: graph.node.accounting.counts().dropped.get('server_unavailable', 0) >= 2)
        level, text, _ = graph.wait_for_status('no depth: ')
        assert level == ERROR and f'{server.url()}' in text and 'UNAVAILABLE' in text
        before = len(graph.received[DEPTH])
        with InferenceServer({'tiny': served[1]}, port=server.port):
            send_until(graph, lambda: len(graph.received[DEPTH]) > before)
            assert graph.wait_for_status('Hz')[0] == OK


@pytest.mark.slow
def test_a_node_that_starts_before_its_server_gives_depth_when_the_server_is_there(served):
    with InferenceServer({}) as server:
        pass
    with open_graph(served, server) as graph:
        assert graph.wait_for_status('no depth: ')[0] == ERROR
        with InferenceServer({'tiny': served[1]}, port=server.port):
            send_until(graph, lambda: graph.received[DEPTH])


def test_the_substitute_serves_until_the_server_returns_and_the_diagnostics_say_so(served, tmp_path):
    small = model(tmp_path / 'small', name='small', plus=6.0)
    with (
        InferenceServer({'tiny': served[1]}) as server,
        open_graph(served, server, fallback_model=str(small), **{'filter.temporal': True}) as graph,
    ):
        send_until(graph, lambda: ON_SERVER in depths(graph))
        server.stop()
        send_until(graph, lambda: SUBSTITUTED in depths(graph))
        level, text, values = graph.wait_for_status('is used because')
        assert level == WARN and 'small on' in text and values['estimator'].startswith('small on')
        with InferenceServer({'tiny': served[1]}, port=server.port):
            send_until(graph, lambda: depths(graph)[-1] == ON_SERVER)
            wait_for(lambda: graph.status()[0] == OK, what=graph.status)
        graph.wait_until_settled()
        found = depths(graph)
        assert set(found) == {ON_SERVER, SUBSTITUTED}
        assert [b for a, b in pairwise(found) if a != b] == [SUBSTITUTED, ON_SERVER]


@pytest.mark.slow
def test_a_running_node_changes_to_a_server_and_back(served, tmp_path):
    small = model(tmp_path / 'small', name='small', plus=6.0)
    with (
        InferenceServer({'tiny': served[1]}) as server,
        MonoGraph({'model': str(small), 'range_min_m': 0.1}, mono_estimator, [DEPTH]) as graph,
    ):
        graph.open_camera()
        send_until(graph, lambda: SUBSTITUTED in depths(graph))
        refused = graph.set_parameters('mono_depth', device='remote')
        assert not refused.successful and "url is ''" in refused.reason
        changed = {'model': str(served[0]), 'device': 'remote', 'url': server.url(), 'remote_deadline_ms': 5000.0}
        assert graph.set_parameters('mono_depth', **changed).successful
        send_until(graph, lambda: depths(graph)[-1] == ON_SERVER)
        assert graph.set_parameters('mono_depth', model=str(small), device='cpu').successful
        send_until(graph, lambda: depths(graph)[-1] == SUBSTITUTED)


@pytest.mark.slow
def test_a_node_stops_at_once_while_the_server_does_not_answer(served):
    with (
        InferenceServer({'tiny': served[1]}) as server,
        open_graph(served, server, remote_deadline_ms=60000.0) as graph,
    ):
        send_until(graph, lambda: graph.received[DEPTH])
        server.delay_s = 60.0
        calls = server.inferences
        send_until(graph, lambda: server.inferences > calls)
        assert graph.change_state('deactivate', 'mono_depth') and graph.node.stop()


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_real_server_is_substituted_from_its_death_to_its_restart(tmp_path):
    manifest, small = model(tmp_path / 'model'), model(tmp_path / 'small', name='small', plus=6.0)
    assert main(['models', 'serve', str(manifest), '--out', str(tmp_path / 'repository')]) == 0
    parameters = {
        'model': str(manifest), 'device': 'remote', 'remote_deadline_ms': 5000.0, 'fallback_model': str(small),
        'range_min_m': 0.1,
    }  # fmt: skip
    with (
        TritonServer(tmp_path / 'repository') as server,
        MonoGraph({**parameters, 'url': server.url('tiny')}, mono_estimator, [DEPTH]) as graph,
    ):
        graph.open_camera()
        send_until(graph, lambda: ON_SERVER in depths(graph))
        server.kill()
        send_until(graph, lambda: SUBSTITUTED in depths(graph))
        assert graph.wait_for_status('is used because')[0] == WARN
        server.start()
        send_until(graph, lambda: depths(graph)[-1] == ON_SERVER)
        counts = graph.wait_until_settled()
        assert counts.received == counts.published + sum(counts.dropped.values())
