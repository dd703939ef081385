"""`depth-ros bag play` in its own process, with a node on the graph that subscribes."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from bag_files import BagWriter, image, make, write_bag
from graph import Graph, NodeProcess, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from depth_ros.messages import read_messages

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'


def player(graph, *arguments):
    return NodeProcess(graph.domain, 'bag', 'play', *map(str, arguments), module='depth_ros.cli.main')


def stamps(graph, topic=DEPTH):
    return [read_messages.stamp_ns(m.header.stamp) for m in graph.received[topic]]


def test_a_node_makes_depth_of_a_recording_that_is_played(tmp_path):
    bag = write_bag(tmp_path / 'in', frames=20)
    with Graph(listen=(DEPTH,), width=96, height=64) as graph, player(graph, bag) as process:
        code, output, _ = process.end()
        assert code == 0 and '80 messages of 4 topics played' in output
        graph.wait_until_settled()
        arrived, seen = graph.arrived_s[DEPTH], stamps(graph)
        # On a loaded machine the node may miss a frame, but frames are never out of order or duplicated.
        assert len(seen) >= 10 and set(seen) <= {10**9 + i * 10**8 for i in range(20)} and seen == sorted(seen)
        assert np.median(np.diff(arrived) / np.diff(seen) * 1e9) == pytest.approx(1.0, abs=0.3)


def loops(times):
    return np.sum(np.diff(times) < 0)


def test_it_loops_at_a_higher_rate_and_publishes_the_clock_until_it_is_interrupted(tmp_path):
    bag = write_bag(tmp_path / 'in', frames=10)
    with Graph(listen=(DEPTH,), width=96, height=64) as graph:
        times = []
        graph.probe.create_subscription(
            Clock, '/clock', lambda m: times.append(m.clock.sec * 10**9 + m.clock.nanosec), 100
        )
        with player(graph, bag, '--rate', 5, '--loop', '--clock') as process:
            wait_for(lambda: loops(stamps(graph)) >= 2 and loops(times) >= 2)
            process.signal()
            code, output, _ = process.end()
        assert code == 0 and 'played' in output
        assert min(times) >= 10**9 and max(times) <= 2 * 10**9 and len(times) > 20


def test_best_effort_recordings_and_types_that_are_not_installed(tmp_path):
    with BagWriter(tmp_path / 'in') as bag:
        for i in range(10):  # the process may end before the last ones are delivered
            bag.add('/image', image(np.full((48, 64), 9, np.uint8), 10**9), 10**9 + i * 10**7)
        bag.add('/strange', make('std_msgs/msg/String', data='x'), 10**9)
    with closing(sqlite3.connect(tmp_path / 'in' / 'in.db3')) as database, database:
        database.execute("UPDATE topics SET type = 'missing_msgs/msg/String' WHERE name = '/strange'")
    with Graph(node=False, listen=()) as graph:
        got = []
        graph.probe.create_subscription(Image, '/image', got.append, 10)
        with player(graph, tmp_path / 'in') as process:
            code, output, _ = process.end(20)
        assert code == 0 and '/strange is not played: missing_msgs/msg/String is not installed' in output
        wait_for(lambda: got)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(['nowhere'], 'nowhere cannot be read as a bag'), (['in', '--rate', '0'], 'the rate is 0; expected')],
)
def test_a_bag_that_cannot_be_played_is_reported_in_one_line(tmp_path, capsys, arguments, message):
    write_bag(tmp_path / 'in', frames=1)
    with Graph(node=False, listen=()) as graph:
        with player(graph, tmp_path / arguments[0], *arguments[1:]) as process:
            code, output, _ = process.end(20)
        lines = [line for line in output.splitlines() if not line.startswith('[WARN]')]  # warnings of rcl in Jazzy
        assert code == 1 and len(lines) == 1 and message in lines[0], output
