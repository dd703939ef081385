"""A camera process and a node process on a ROS 2 graph of this machine, watched by a listener in this process."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psutil
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from depth_ros.errors import DepthRosError
from depth_ros.files.installed_files import fastdds_profile
from depth_ros.tools.listener import Listener

_SETTLE_S = 1.2
_STOP_S = 5.0


@dataclass
class Graph:
    """What a run has shown so far."""

    listener: Listener
    seconds: float = 0.0
    """Since the first image was sent or the run began."""
    frames_sent: int = 0
    """Known at the end."""
    start_to_first_depth_s: float | None = None
    node_cpu_percent: float = 0.0
    """Of one core."""
    node_rss_mb: list[float] = field(default_factory=list)
    """Second by second."""


def private_environment(shared_memory: bool) -> dict[str, str]:
    """Return the environment of a graph that stays on this machine, with or without the shipped transport profile.

    The user's ROS_DOMAIN_ID is kept, so that RViz can look on; without one, a domain is chosen by process number.
    """
    environment = dict(os.environ)
    environment.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    environment.update(ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST', PYTHONUNBUFFERED='1')
    if shared_memory:
        environment.update([fastdds_profile()])
    return environment


def run_graph(
    camera: list[str],
    node: list[str],
    seconds: float,
    watch: Callable[[Graph], None],
    best_effort: bool = False,
    shared_memory: bool = True,
    beside: list[str] | None = None,
) -> Graph:
    """Run a camera and a node for a while and return what a listener saw.

    Args:
        camera: Module and arguments of the camera process; it must print ``{"frames_sent": n}`` at its end.
        node: Module and arguments of the node process.
        seconds: How long images are sent, counted from the first depth image (or 10 s of waiting for it). If it is
            infinite, Ctrl-C ends it.
        watch: Called about five times a second.
        best_effort: How the listener subscribes.
        shared_memory: Use the shipped Fast DDS profile.
        beside: Module and arguments of one more process.

    Raises:
        DepthRosError: a process ended by itself.
    """
    environment = private_environment(shared_memory)
    os.environ.update(environment)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C ends us, and only then the context
    listener = Listener(best_effort)
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    graph = Graph(listener)
    started_s = time.monotonic()
    try:
        with ExitStack() as stack:
            processes = {
                name: stack.enter_context(_process(module, environment))
                for name, module in (('viewer', beside), ('node', node), ('camera', camera))
                if module is not None
            }
            try:
                _watch(graph, executor, processes, seconds, watch, started_s)
            except KeyboardInterrupt:
                if math.isfinite(seconds):
                    raise
            camera_process = processes['camera']
            camera_process.send_signal(signal.SIGINT)
            _spin(executor, _SETTLE_S)
            graph.frames_sent = _frames_sent(camera_process)
    finally:
        executor.shutdown()
        listener.destroy_node()
        rclpy.try_shutdown()
    return graph


def _watch(
    graph: Graph,
    executor: SingleThreadedExecutor,
    processes: dict[str, 'subprocess.Popen[str]'],
    seconds: float,
    watch: Callable[[Graph], None],
    started_s: float,
) -> None:
    node = psutil.Process(processes['node'].pid)
    cpu_before, next_look_s, next_second_s = 0.0, started_s, started_s
    while True:
        executor.spin_once(timeout_sec=0.05)
        now_s = time.monotonic()
        first_s = graph.listener.first_depth_s
        if first_s is not None and graph.start_to_first_depth_s is None:
            graph.start_to_first_depth_s = first_s - started_s
            cpu_before = _cpu_s(node)
        if now_s >= next_second_s:
            next_second_s = now_s + 1.0
            for name, process in processes.items():
                if process.poll() is not None:
                    raise DepthRosError(f'the {name} process ended by itself with code {process.returncode}')
            graph.node_rss_mb.append(node.memory_info().rss / 2**20)
        graph.seconds = now_s - (first_s or started_s)
        if now_s >= next_look_s:
            next_look_s = now_s + 0.2
            watch(graph)
        if graph.seconds >= (seconds if first_s is not None else 10.0):
            break
    graph.node_cpu_percent = 100 * (_cpu_s(node) - cpu_before) / max(graph.seconds, 0.1)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _spin(executor: SingleThreadedExecutor, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)


@contextmanager
def _process(module: list[str], environment: dict[str, str]) -> 'Iterator[subprocess.Popen[str]]':
    """Run a module of ours; end it as launch would. What it prints can be read; what it logs is shown."""
    command = [sys.executable, '-m', *module]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _frames_sent(camera: 'subprocess.Popen[str]') -> int:
    """Return what the camera says at its end."""
    for line in reversed(camera.communicate(timeout=_STOP_S)[0].splitlines()):
        if line.startswith('{'):
            return int(json.loads(line)['frames_sent'])
    raise DepthRosError('the camera process did not say how many frames it sent')
