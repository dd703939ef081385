"""Two nodes of one name: each says so."""

import pytest
from graph import Graph, NodeProcess, wait_for

pytestmark = pytest.mark.ros


def test_two_nodes_of_one_name_warn_and_one_alone_does_not():
    with Graph(listen=()) as graph:
        told = []
        tell = graph.node._throttled_log.report
        graph.node._throttled_log.report = lambda kind, text: told.append(text) or tell(kind, text)
        with NodeProcess(graph.domain, '--ros-args', '-r', '__ns:=/other') as other:
            wait_for(lambda: len(graph.probe.get_node_names()) >= 3, 30)
            graph.wait_for_messages('/diagnostics', 5)
            assert not told
            other.signal()
            other.end(30)
        with NodeProcess(graph.domain) as twin:
            wait_for(lambda: told, 30)
            assert told[0].startswith('2 nodes are named /stereo_depth: ') and '__ns:=' in told[0]
            twin.signal()
            _, output, _ = twin.end(30)
    assert '2 nodes are named /stereo_depth: ' in output
