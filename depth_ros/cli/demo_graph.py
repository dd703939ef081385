"""A camera process and a node process on a ROS 2 graph of this machine, observed by a listener in this process."""

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
    """Measurements of a run so far."""

    listener: Listener
    seconds: float = 0.0
    """Seconds since the first depth image was received; before that, since the start of the run."""
    frames_sent: int = 0
    """Frames sent by the camera; set when the run ends."""
    start_to_first_depth_s: float | None = None
    node_cpu_percent: float = 0.0
    """CPU time of the node, percent of one core."""
    node_rss_mb: list[float] = field(default_factory=list)
    """Resident memory of the node, one value per second."""


def private_environment(shared_memory: bool) -> dict[str, str]:
    """Return the environment of a graph limited to this machine, with or without the transport profile of the package.

    ROS_DOMAIN_ID is kept if it is set, so that RViz can subscribe; otherwise it is derived from the process id.
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
    extra: list[str] | None = None,
) -> Graph:
    """Run a camera and a node and return the measurements of a listener.

    Args:
        camera: Module and arguments of the camera process; it must print ``{"frames_sent": n}`` on exit.
        node: Module and arguments of the node process.
        seconds: Duration after the first depth image, which is awaited for at most 10 s. If infinite, Ctrl-C ends
            the run.
        watch: Called about five times per second.
        best_effort: Whether the listener subscribes with best-effort QoS.
        shared_memory: Use the Fast DDS profile of the package.
        extra: Module and arguments of the viewer process, if there is one.

    Raises:
        DepthRosError: a process exited unexpectedly.
    """
    environment = private_environment(shared_memory)
    os.environ.update(environment)
    # Without rclpy's signal handlers, because Ctrl-C must interrupt this function before the context is shut down.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    listener = Listener(best_effort)
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    graph = Graph(listener)
    started_s = time.monotonic()
    try:
        with ExitStack() as stack:
            processes = {
                name: stack.enter_context(_process(module, environment))
                for name, module in (('viewer', extra), ('node', node), ('camera', camera))
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
    cpu_before, next_watch_s, next_second_s = 0.0, started_s, started_s
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
                    raise DepthRosError(f'the {name} process exited unexpectedly with code {process.returncode}')
            graph.node_rss_mb.append(node.memory_info().rss / 2**20)
        graph.seconds = now_s - (first_s or started_s)
        if now_s >= next_watch_s:
            next_watch_s = now_s + 0.2
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
    """Run a module of this package and end it with SIGINT, as launch does.

    Standard output is captured; log messages go to this process's standard error.
    """
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
    """Return the number of frames that the camera process prints on exit."""
    for line in reversed(camera.communicate(timeout=_STOP_S)[0].splitlines()):
        if line.startswith('{'):
            return int(json.loads(line)['frames_sent'])
    raise DepthRosError('the camera process did not print the number of frames sent; expected {"frames_sent": n}')
