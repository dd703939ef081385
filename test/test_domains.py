"""Tests neither see nodes that run on the same machine, nor each other's."""

import subprocess
import sys
from pathlib import Path

import domains
import pytest
from domains import isolated_environment, next_domain, release_domain

ROOT = Path(__file__).parents[1]

FOREIGN_TALKERS = """
import sys, time, rclpy
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

publishers = []
for domain in map(int, sys.argv[1:]):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('stereo_depth', context=context)
    publishers += [(kind, node.create_publisher(kind, topic, 10)) for kind, topic in (
        (Image, 'left/image_rect'), (Image, 'depth/image_rect'), (DiagnosticArray, '/diagnostics'))]
print('ready', flush=True)
while True:
    for kind, publisher in publishers:
        publisher.publish(kind())
    time.sleep(0.05)
"""


@pytest.mark.ros
def test_a_graph_does_not_see_talkers_that_already_run_in_its_next_domains(monkeypatch):
    from graph import Graph, wait_for

    reserved = [next_domain() for _ in range(4)]  # until the talkers have them, so that no other suite takes them
    taken = [0, *reserved]
    command = [sys.executable, '-c', FOREIGN_TALKERS, *map(str, taken)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as foreign:
        try:
            assert foreign.stdout.readline() == 'ready\n'
            for domain in reserved:
                release_domain(domain)
            monkeypatch.setattr(domains, '_order', [*reserved, *domains._order[:-4]])
            with Graph(listen=('depth/image_rect',)) as graph:
                assert graph.domain not in taken
                wait_for(lambda: len(graph.received['/diagnostics']) >= 3)
                assert all(message.status for message in graph.received['/diagnostics'])  # the foreign ones are empty
                assert not graph.received['depth/image_rect']
                assert graph.probe.count_publishers('/left/image_rect') == 0
        finally:
            foreign.kill()


def test_two_processes_reserve_different_domains_and_give_them_back():
    program = (
        'import domains; domains._order.sort(); print(*(domains.next_domain() for _ in range(20)), flush=True); input()'
    )
    running = [
        subprocess.Popen(
            [sys.executable, '-c', program],
            cwd=ROOT / 'test', stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    found = [set(process.stdout.readline().split()) for process in running]
    for process in running:
        process.communicate('\n')
    assert [len(each) for each in found] == [20, 20] and not found[0] & found[1]
    held = [next_domain() for _ in range(40)]  # their domains can be had again
    assert len(set(held)) == 40
    for domain in held:
        release_domain(domain)


def test_variables_that_connect_a_user_s_nodes_do_not_reach_tests(monkeypatch):
    monkeypatch.setenv('ROS_DISCOVERY_SERVER', 'robot:11811')
    monkeypatch.setenv('ROS_STATIC_PEERS', 'robot')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    environment = isolated_environment(7)
    assert 'ROS_DISCOVERY_SERVER' not in environment and 'ROS_STATIC_PEERS' not in environment
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST' and environment['ROS_DOMAIN_ID'] == '7'


SUITE = """
import domains
from graph import Graph
domains._order.sort()
with Graph(listen=('depth/image_rect',)) as graph:
    print('ready', flush=True)
    input()
    graph.open_camera()
    for expected in range(1, 11):
        graph.send()
        graph.wait_for_messages('depth/image_rect', expected)
    print(len(graph.received['depth/image_rect']), *sorted(graph.probe.get_node_names()), flush=True)
    input()
"""


@pytest.mark.ros
@pytest.mark.slow
def test_two_suites_run_side_by_side():
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    running = [subprocess.Popen([sys.executable, '-c', SUITE], cwd=ROOT / 'test', **pipes) for _ in range(2)]
    try:
        for expected in ('ready', '10 probe stereo_depth'):  # each sees the frames and the nodes of its own only
            for process in running:
                assert process.stdout.readline() == f'{expected}\n'
            for process in running:
                process.stdin.write('\n')
                process.stdin.flush()
        assert [process.wait(20) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
            process.communicate()
