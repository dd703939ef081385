"""Two nodes with the same name: both log a warning."""

import threading

import pytest
from graph import Graph, NodeProcess, wait_for

pytestmark = pytest.mark.ros


@pytest.mark.slow
def test_two_nodes_with_the_same_name_warn_and_a_single_one_does_not():
    with Graph(listen=()) as graph:
        logged = []
        report = graph.node._throttled_log.report
        graph.node._throttled_log.report = lambda kind, text: logged.append(text) or report(kind, text)
        with NodeProcess(graph.domain, '--ros-args', '-r', '__ns:=/other') as other:
            wait_for(lambda: len(graph.probe.get_node_names()) >= 3)
            graph.wait_for_messages('/diagnostics', 5)
            assert not logged
            other.signal()
            other.end(30)
        with NodeProcess(graph.domain) as twin:
            wait_for(lambda: logged)
            assert logged[0].startswith('2 nodes are named /stereo_depth: ') and '__ns:=' in logged[0]
            at_last = threading.Timer(30, twin.signal)  # ends its output
            at_last.start()
            assert any('2 nodes are named /stereo_depth: ' in line for line in twin.popen.stdout)
            at_last.cancel()
