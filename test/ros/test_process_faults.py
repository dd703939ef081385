"""E3, E5, E7, H2: processes that are killed, shut down from any state, share a name, or have no network."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from domains import isolated_environment, next_domain
from graph import Graph, NodeProcess, wait_for

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.messages import read_messages

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'


def can_unshare(*options):
    """Tell whether this user may make namespaces of his own; containers often forbid it."""
    return (
        bool(shutil.which('unshare'))
        and not subprocess.run(['unshare', *options, 'true'], capture_output=True).returncode
    )


def run_inside(options, script, domain, module='depth_ros.ros.stereo_depth', *arguments):
    """Run a node until it is configured, or a command, in namespaces of its own; return exit code and output."""
    node = [sys.executable, '-m', module, *arguments]
    process = subprocess.Popen(
        ['unshare', *options, 'sh', '-c', f'{script}; exec "$@"', '_', *node],
        env=isolated_environment(domain), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    output = ''
    while (line := process.stdout.readline()) and 'configured: ' not in line:
        output += line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    return process.returncode, output + line + rest


@pytest.mark.slow
def test_e3_a_node_that_was_killed_is_replaced_by_the_next_one():
    with Graph(node=False, listen=(DEPTH,)) as graph, NodeProcess(graph.domain, module='depth_ros.tools.file_camera'):
        for _ in range(2):
            with NodeProcess(graph.domain, '--ros-args', '-p', 'processing_scale:=0.5') as running:
                before = len(graph.received[DEPTH])
                graph.wait_for_messages(DEPTH, before + 2)
                running.signal(signal.SIGKILL)
                assert running.end()[0] == -signal.SIGKILL
            time.sleep(0.1)


NAMESPACE = ('-r', '-m', '--propagation', 'private')


@pytest.mark.skipif(not can_unshare(*NAMESPACE), reason='this user may not make a mount namespace')
@pytest.mark.parametrize(
    ('size', 'filled', 'code', 'words'),
    [('64k', 65536, 1, 'stereo_depth: /dev/shm has 0 bytes free'), ('1m', 0, 0, 'configured: ')],
)
def test_e3_shared_memory_that_is_full_is_explained_at_start_and_little_of_it_is_enough(size, filled, code, words):
    script = f'mount -t tmpfs -o size={size} tmpfs /dev/shm; head -c {filled} /dev/zero >/dev/shm/other'
    found, output = run_inside(NAMESPACE, script, next_domain())
    assert found == code and words in output and 'Traceback' not in output, output


@pytest.mark.skipif(not can_unshare(*NAMESPACE), reason='this user may not make a mount namespace')
@pytest.mark.parametrize(
    'command', [['doctor'], ['view'], ['bag', 'play', 'drive'], ['demo']], ids=lambda words: words[0]
)
def test_e3_commands_on_a_graph_explain_full_shared_memory_too(command):
    script = 'mount -t tmpfs -o size=64k tmpfs /dev/shm; head -c 65536 /dev/zero >/dev/shm/other'
    code, output = run_inside(NAMESPACE, script, next_domain(), 'depth_ros.cli.main', *command)
    assert code == 1 and '/dev/shm has 0 bytes free' in output and 'Traceback' not in output, output


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_e5_shutting_down_from_any_state_ends_all_work_and_is_final(state):
    with Graph({'autostart': False}, listen=(DEPTH,)) as graph:
        for transition in {'unconfigured': (), 'inactive': ('configure',), 'active': ('configure', 'activate')}[state]:
            assert graph.change_state(transition)
        if state == 'active':
            graph.open_camera()
            graph.send()
            graph.wait_for_messages(DEPTH)
        assert graph.change_state(f'{state}_shutdown')
        assert graph.lifecycle_state() == 'finalized'
        graph.wait_for_status('finalized')
        graph.received[DEPTH].clear()
        graph.stream(5)
        assert not graph.received[DEPTH] and graph.wait_until_settled().in_flight == 0
        assert graph.probe.count_publishers(f'/{DEPTH}') == 0
        assert not graph.change_state('configure')


def test_e5_shutting_down_during_an_estimate_publishes_nothing_afterwards():
    estimator = FakeEstimator(latency_s=30.0)
    with Graph(make_estimator=lambda settings, watch: estimator, listen=(DEPTH,)) as graph:
        graph.open_camera()
        graph.send()
        wait_for(lambda: estimator.frames == 1)
        started_s = time.monotonic()
        assert graph.change_state('active_shutdown')
        assert time.monotonic() - started_s < 10
        assert graph.wait_until_settled().dropped == {'shutdown': 1}
        assert not graph.received[DEPTH] and graph.lifecycle_state() == 'finalized'


@pytest.mark.slow
def test_e7_two_nodes_of_one_name_both_work_and_both_end():
    with Graph(node=False, listen=(DEPTH,)) as graph:
        module = 'depth_ros.tools.null_node'
        with NodeProcess(graph.domain, module=module) as one, NodeProcess(graph.domain, module=module) as other:
            wait_for(lambda: graph.probe.get_node_names().count('stereo_depth') == 2)
            wait_for(lambda: graph.probe.count_publishers(f'/{DEPTH}') == 2)
            stamps = []

            def both_work():
                stamps.append(graph.send())
                time.sleep(0.1)
                seen = [read_messages.stamp_ns(message.header.stamp) for message in graph.received[DEPTH]]
                return any(seen.count(stamp) == 2 for stamp in stamps)

            wait_for(both_work)
            for running in (one, other):
                running.signal()
                assert running.end()[0] == 0


def test_e7_namespace_name_and_remapped_topics_are_those_of_the_command_line():
    arguments = [
        '-r',
        '__ns:=/robot',
        '-r',
        '__node:=eyes',
        '-r',
        'left/image_rect:=camera/one',
        '-r',
        'points:=/cloud',
    ]
    with (
        Graph(node=False, listen=(), namespace='/robot') as graph,
        NodeProcess(graph.domain, '--ros-args', *arguments, module='depth_ros.tools.null_node'),
    ):
        wait_for(lambda: ('eyes', '/robot') in graph.probe.get_node_names_and_namespaces())
        wait_for(lambda: graph.probe.count_subscribers('/robot/camera/one'))
        wait_for(lambda: graph.probe.count_publishers('/cloud'))
        wait_for(lambda: graph.probe.count_subscribers('/robot/right/image_rect') == 1)
        assert graph.probe.count_subscribers('/robot/left/image_rect') == 0


@pytest.mark.skipif(not can_unshare('-r', '-n'), reason='this user may not make a network namespace')
def test_e7_without_any_network_interface_the_node_starts_and_ends():
    code, output = run_inside(('-r', '-n'), 'true', next_domain())
    assert code == 0 and 'configured: ' in output and 'Traceback' not in output, output


def shared_memory_files(pid):
    try:
        lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    except OSError:  # it has ended
        return set()
    return {line.split(maxsplit=5)[5] for line in lines if '/dev/shm/' in line}


def abandoned(files):
    """Return the files that exist and that no process uses: ports of Fast DDS belong to all nodes of a machine."""
    used = set().union(*map(shared_memory_files, psutil.pids()))
    return [file for file in files - used if Path(file).exists()]


@pytest.mark.slow
def test_h2_every_start_and_stop_ends_with_code_0_and_leaves_no_file(tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        with (
            Graph(node=False, listen=(DEPTH,)) as graph,
            NodeProcess(graph.domain, module='depth_ros.tools.null_node') as running,
        ):
            graph.open_camera()
            graph.send_until(lambda: graph.received[DEPTH])
            files = shared_memory_files(running.popen.pid)
            assert files
            running.signal(number)
            code, output, _ = running.end()
            assert code == 0 and 'Traceback' not in output, output
            wait_for(lambda files=files: not abandoned(files), what=lambda files=files: f'{abandoned(files)}')
