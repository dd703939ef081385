"""Start and end of a node's process.

The main thread handles signals and otherwise only waits; the executor spins on another thread. Therefore the process
ends with exit code 0 within three seconds of a signal in every state: while loading, while stuck, and if the signal is
repeated. If native code holds the interpreter lock, no Python thread can run; ``exit_guard`` then kills the process.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from depth_ros.doctor.shared_memory import full_shared_memory
from depth_ros.errors import DepthRosError
from depth_ros.memory import keep_freed_memory
from depth_ros.ros import exit_guard

_stop_requested = threading.Event()
_exit_code = 0


def request_exit(code: int) -> None:
    """End the process as a signal would, with the given exit code."""
    global _exit_code
    _exit_code = code
    _stop_requested.set()


def exit_requested() -> bool:
    """Return whether the process is about to end; for work that can be cancelled."""
    return _stop_requested.is_set()


def print_frames_sent(count: int) -> None:
    """Print the number of frames that a camera has sent, as JSON for the program that started it."""
    print(json.dumps({'frames_sent': count}), flush=True)


def catch_signals() -> None:
    """Handle SIGINT and SIGTERM from now on; call this before the slow imports.

    Raises:
        SystemExit: importing rclpy would crash, because shared memory is full.
    """
    if problem := full_shared_memory():
        sys.exit(f'{Path(sys.argv[0]).stem}: {problem}')

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        _stop_requested.set()
        exit_guard.acknowledge()

    exit_guard.start()
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def run(make_nodes: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Spin one or several nodes until SIGINT or SIGTERM; return the exit code.

    The exit code is 1 if the nodes cannot be created, and 2 if the ROS arguments are invalid.

    Each node has a method ``stop() -> bool`` that ends all work; it returns False if some work did not end.
    """
    catch_signals()
    keep_freed_memory()
    import rclpy  # after the signals are caught, because this import is slow
    from rclpy.exceptions import InvalidParameterTypeException, NameValidationException
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    program = Path(sys.argv[0]).stem
    try:
        rclpy.init(args=list(args) if args is not None else None, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy has no public exception for what rcl reports
        print(f'{program}: {wrong_ros_argument(str(error))}', file=sys.stderr)
        return 2
    try:
        made = make_nodes()
    except (DepthRosError, InvalidParameterTypeException, NameValidationException) as error:
        print(f'{program}: {" ".join(str(error).split())}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    nodes = made if isinstance(made, list) else [made]
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)

    def spin() -> None:
        while not _stop_requested.is_set():
            try:
                executor.spin_once(timeout_sec=0.5)
            except ExternalShutdownException:
                _stop_requested.set()
            except Exception as error:  # an exception in a callback must not end the process
                nodes[0].get_logger().error(f'exception in a callback: {type(error).__name__}: {error}')

    def start_all() -> None:
        for node in nodes:
            start(node)

    threads = [
        threading.Thread(target=spin, name='executor', daemon=True),
        # A separate thread: configuring may take minutes, while the executor serves services and diagnostics.
        threading.Thread(target=start_all, name='autostart', daemon=True),
    ]
    for thread in threads:
        thread.start()
    # With a limit: a signal just before the thread blocks, or one that another thread receives, does not wake it.
    while not _stop_requested.wait(0.5):
        pass
    executor.wake()
    deadline_s = time.monotonic() + 2.5
    for thread in threads:
        thread.join(timeout=max(0.0, deadline_s - time.monotonic()))
    ended = [not thread.is_alive() for thread in threads]
    if all(ended):
        ended = [node.stop() for node in nodes]
    if not all(ended):
        leave_at_once(nodes[0])
    executor.shutdown(timeout_sec=0.2)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the interpreter restores the default handlers before it exits
    return _exit_code


_EXPECTED = {
    '-r': 'FROM:=TO',
    '--remap': 'FROM:=TO',
    '-p': 'NAME:=VALUE',
    '--param': 'NAME:=VALUE',
    '--params-file': "a YAML file with parameters below '/**: ros__parameters:'",
    '--log-level': 'debug, info, warn, error or fatal, or LOGGER:=LEVEL',
}


def wrong_ros_argument(message: str) -> str:
    """Return a one-line message with the expected value for rcl's message about an invalid argument."""
    match = re.search(r"'(-\S+) ([^']*)'\. Error: ([^,\n]*)", message)
    if match is None:
        return f'unknown ROS arguments: {" ".join(message.split())}; see docs.ros.org for --ros-args'
    option, value, reason = match.groups()
    if option == '--params-file':
        reason = 'is not a file' if not Path(value).is_file() else f'cannot be read: {reason}'
    else:
        reason = 'is not valid'
    return f'{option} {value} {reason}; expected {_EXPECTED.get(option, "another value")}'


def start(node: Any) -> None:
    """Configure and activate a lifecycle node whose ``autostart`` parameter is true."""
    if not hasattr(node, 'has_autostart') or not node.has_autostart():
        return
    from rclpy.lifecycle import TransitionCallbackReturn

    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def leave_at_once(node: Any) -> None:
    """End the process although a thread is stuck in native code, which Python cannot interrupt."""
    node.get_logger().error('exiting without waiting for a stuck estimator')
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_exit_code)
