"""Family E, signals that Python cannot serve because native code holds the interpreter lock."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from graph import Graph, NodeProcess, wait_for

pytestmark = [pytest.mark.ros, pytest.mark.slow]

BLOCKED_NODE = """
import ctypes, sys
from depth_ros.ros import node_process
node_process.catch_signals()
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros.stereo_node import StereoDepthNode

class Blocked(StereoDepthNode):
    def __init__(self):
        super().__init__(lambda settings, watch: FakeEstimator())
        self.create_timer(1.0, self.block)

    def block(self):
        print('blocked', flush=True)
        ctypes.PyDLL(None).sleep(60)  # unlike CDLL, it keeps the interpreter lock

sys.exit(node_process.run(Blocked))
"""


def guards_of(process):
    return [
        child for child in psutil.Process(process.popen.pid).children() if 'exit_guard' in ' '.join(child.cmdline())
    ]


def has_ended(process):
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize('signals', [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT, signal.SIGTERM]])
def test_e4_a_node_whose_thread_holds_the_interpreter_lock_is_killed_with_its_stacks_printed(tmp_path, signals):
    script = tmp_path / 'node.py'
    script.write_text(BLOCKED_NODE)
    with Graph(node=False, listen=()) as graph, NodeProcess(graph.domain, script=str(script)) as running:
        lines = iter(running.popen.stdout.readline, '')
        assert any('blocked' in line for line in lines), 'the node ended'
        (guard,) = guards_of(running)
        for number in signals:
            running.signal(number)
            time.sleep(0.05)
        code, output, seconds = running.end()
    assert code == -signal.SIGKILL and seconds < 10.0, (code, seconds)  # instead of 60
    assert 'in block' in output and 'killed after SIGINT or SIGTERM' in output
    wait_for(lambda: has_ended(guard))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_the_guard_is_no_node_holds_nothing_costs_nothing_and_ends_with_its_process(number):
    with Graph(node=False) as graph, NodeProcess(graph.domain) as running:
        graph.wait_for_status('')
        (guard,) = guards_of(running)
        assert sorted(graph.probe.get_node_names()) == ['probe', 'stereo_depth']
        assert sorted(link.name for link in Path(f'/proc/{guard.pid}/fd').iterdir()) == ['0', '1', '2']
        assert not [each for each in guard.memory_maps() if 'rcl' in each.path or '/dev/shm' in each.path]
        assert os.getpgid(guard.pid) != os.getpgid(running.popen.pid)  # Ctrl-C in a terminal goes to a whole group
        used = guard.cpu_times()
        time.sleep(1.0)
        assert guard.cpu_times() == used
        for ignored in (signal.SIGINT, signal.SIGTERM):  # such as systemd sends to all processes of a service
            guard.send_signal(ignored)
        time.sleep(0.1)
        assert not has_ended(guard)
        running.signal(number)
        assert running.end()[0] == (0 if number == signal.SIGTERM else -number)
        wait_for(lambda: has_ended(guard))


@pytest.mark.slow
def test_a_paused_process_is_not_killed_and_a_node_lives_without_its_guard():
    with Graph(node=False) as graph, NodeProcess(graph.domain) as running:
        graph.wait_for_status('')
        running.signal(signal.SIGSTOP)
        time.sleep(3.0)
        running.signal(signal.SIGCONT)
        graph.received['/diagnostics'].clear()
        graph.wait_for_status('')
        guards_of(running)[0].kill()
        running.signal()
        code, output, _ = running.end()
        assert code == 0 and 'Traceback' not in output, output
