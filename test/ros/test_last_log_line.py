"""The account in a node's last log line, with real processes that are ended by a signal."""

import re
import signal

import pytest
from graph import Graph, MonoGraph, NodeProcess, wait_for
from tiny_model import model

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'
LINE = re.compile(
    r'\[(?P<node>[\w./]+)\]: (?P<received>\d+) frames received, (?P<published>\d+) published, '
    r'dropped: (?P<dropped>none|\d+ \w+(?:, \d+ \w+)*)(?:, in flight: (?P<in_flight>\d+))?$',
    re.MULTILINE,
)
SCRIPT = """
import sys
from depth_ros.ros import node_process
node_process.catch_signals()
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros.stereo_node import StereoDepthNode
sys.exit(node_process.run(lambda: StereoDepthNode(lambda settings, watch: FakeEstimator({fake}))))
"""


def accounts(output):
    """Return the account that each node logged: received, published, drops by reason, frames in flight."""
    found = {}
    for match in LINE.finditer(output):
        assert match['node'] not in found, f'{match["node"]} logged its account twice'
        drops = [] if match['dropped'] == 'none' else [each.split(' ') for each in match['dropped'].split(', ')]
        found[match['node']] = (
            int(match['received']),
            int(match['published']),
            {reason: int(count) for count, reason in drops},
            int(match['in_flight'] or 0),
        )
    return found


def last_account(output, node='stereo_depth'):
    """Return the account of the only node; it must be the last thing that was logged."""
    assert LINE.search(output.splitlines()[-1]), output
    return accounts(output)[node]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_received_is_published_plus_drops_when_a_stream_is_ended(tmp_path, number):
    script = tmp_path / 'node.py'
    script.write_text(SCRIPT.format(fake='latency_s=0.15'))
    with (
        Graph(node=False, listen=(DEPTH,)) as graph,
        NodeProcess(graph.domain, script=str(script)) as running,
        NodeProcess(graph.domain, '--ros-args', '-p', 'rate_hz:=30.0', module='depth_ros.tools.file_camera') as camera,
    ):
        graph.wait_for_messages(DEPTH, 5)
        running.signal(number)  # while frames are on their way
        code, output, _ = running.end()
        camera.signal()
        camera.end()
        heard = len(graph.received[DEPTH])
    received, published, dropped, in_flight = last_account(output)
    assert code == 0 and in_flight == 0
    assert received == published + sum(dropped.values()) > 0
    assert published >= heard >= 5 and dropped.get('superseded', 0) > 0


def test_every_kind_of_bad_frame_is_in_the_line_by_its_reason(tmp_path):
    script = tmp_path / 'node.py'
    script.write_text(SCRIPT.format(fake='fail_at=lambda n: n == 0'))
    with Graph(node=False, listen=(DEPTH,)) as graph, NodeProcess(graph.domain, script=str(script)) as running:
        graph.open_camera()
        graph.send_until(lambda: graph.received[DEPTH])  # the estimator fails once
        cut = graph.image(graph.head())
        cut.data = cut.data[:-1]
        faults = {
            'bad_image': {'left': cut},
            'zero_stamp': {'stamp_ns': 0},
            'bad_camera_info': {'k': [0.0] * 9, 'p': [0.0] * 12},
        }
        for reason, fault in faults.items():
            graph.send(**fault)
            wait_for(lambda reason=reason: graph.received['/diagnostics'] and f'dropped.{reason}' in graph.status()[2])
        running.signal()
        code, output, _ = running.end()
    received, published, dropped, in_flight = last_account(output)
    assert code == 0 and in_flight == 0 and received == published + sum(dropped.values()) and published >= 1
    for reason in ('no_subscriber', 'superseded'):  # of the frames until the node had discovered its subscriber
        dropped.pop(reason, 0)
    assert dropped == {'estimator_failed': 1, **dict.fromkeys(faults, 1)}


def end_while_estimating(tmp_path, fake):
    """Signal a node whose estimator has one frame; return exit code, output, and the account since then."""
    script = tmp_path / 'node.py'
    script.write_text(SCRIPT.format(fake=fake))
    with Graph(node=False, listen=(DEPTH,)) as graph, NodeProcess(graph.domain, script=str(script)) as running:
        graph.open_camera()
        sent = 0
        while not sent or graph.status()[2]['in_flight'] == '0':  # until it has discovered its subscriber
            graph.send()
            sent += 1
            wait_for(lambda sent=sent: graph.received['/diagnostics'] and graph.status()[2]['received'] == str(sent))
        running.signal()
        code, output, _ = running.end()
    received, published, dropped, in_flight = accounts(output)['stereo_depth']
    unseen = dropped.pop('no_subscriber', 0)
    return code, output, (received - unseen, published, dropped, in_flight)


def test_a_frame_that_is_given_up_at_the_end_is_counted(tmp_path):
    code, output, account = end_while_estimating(tmp_path, 'latency_s=30.0')
    assert code == 0 and account == (1, 0, {'shutdown': 1}, 0) and last_account(output)


def test_a_frame_that_is_stuck_at_the_end_is_called_in_flight(tmp_path):
    code, _, account = end_while_estimating(tmp_path, 'hang_at=lambda n: True')
    assert code == 0 and account == (1, 0, {}, 1)


def test_the_last_line_of_a_node_that_received_nothing_says_so():
    with Graph(node=False) as graph, NodeProcess(graph.domain) as running:
        graph.wait_for_status('no left image')
        running.signal()
        code, output, _ = running.end()
    assert code == 0 and last_account(output) == (0, 0, {}, 0)


def test_every_camera_of_a_process_logs_its_own_account(tmp_path):
    arguments = ('--ros-args', '-p', f'model:={model(tmp_path)}', '-p', 'cameras:=[front, rear]')
    with (
        MonoGraph(node=False, listen=(DEPTH,), namespace='/front') as graph,
        NodeProcess(graph.domain, *arguments, module='depth_ros.ros.mono_depth') as running,
    ):
        graph.open_camera()
        graph.send_until(lambda: len(graph.received[DEPTH]) > 5)
        running.signal()
        code, output, _ = running.end()
    found = accounts(output)
    assert code == 0 and set(found) == {'front.mono_depth', 'rear.mono_depth'}, output
    received, published, dropped, _ = found['front.mono_depth']
    assert received == published + sum(dropped.values()) > 5
    assert found['rear.mono_depth'] == (0, 0, {}, 0)
