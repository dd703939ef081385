"""How a node's process begins and ends.

Signals are handled in the main thread, which only waits; the executor spins on another one. So a signal is answered in
every state, once or repeatedly, while loading and while stuck, and the exit code is 0 within three seconds. If native
code holds the interpreter lock, no thread of Python can answer; ``exit_guard`` then kills the process in that time.
"""

import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from depth_ros.errors import DepthRosError
from depth_ros.memory import keep_freed_memory
from depth_ros.ros import exit_guard

_LEAST_SHARED_MEMORY = 64 << 10
_stop_requested = threading.Event()
_exit_code = 0


def request_exit(code: int) -> None:
    """End the process from inside as a signal would, with another exit code."""
    global _exit_code
    _exit_code = code
    _stop_requested.set()


def exit_requested() -> bool:
    """Tell whether the process has been asked to end; for work that can be given up."""
    return _stop_requested.is_set()


def say_frames_sent(count: int) -> None:
    """Print what a camera has sent, for the program that started it."""
    print(json.dumps({'frames_sent': count}), flush=True)


def catch_signals() -> None:
    """Note SIGINT and SIGTERM from now on; call it before the slow imports.

    Raises:
        SystemExit: importing rclpy would crash.
    """
    if problem := _full_shared_memory():
        sys.exit(f'{Path(sys.argv[0]).stem}: {problem}')

    def note(_signal: int, _frame: FrameType | None) -> None:
        _stop_requested.set()
        exit_guard.answer()

    exit_guard.start()
    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)


def run(make_nodes: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Spin a node, or several, until SIGINT or SIGTERM; return the exit code.

    The exit code is 1 if the nodes cannot be made, and 2 if the ROS arguments are wrong.

    Besides being one, a node has ``stop() -> bool``: end all work, False if something could not be ended.
    """
    catch_signals()
    keep_freed_memory()
    import rclpy  # after the signals are caught: importing takes a while
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
            except Exception as error:  # rclpy passes on what a callback raises; one bad message must not end us
                nodes[0].get_logger().error(f'a callback failed: {type(error).__name__}: {error}')

    def start_all() -> None:
        for node in nodes:
            start(node)

    threads = [
        threading.Thread(target=spin, name='executor', daemon=True),
        # Not the executor's: configuring may take minutes, and services and diagnostics go on meanwhile.
        threading.Thread(target=start_all, name='autostart', daemon=True),
    ]
    for thread in threads:
        thread.start()
    _stop_requested.wait()
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
        signal.signal(number, signal.SIG_IGN)  # the interpreter puts other handlers back before it is gone
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
    """Return rcl's message about an argument that it cannot parse as one line that says what was expected."""
    found = re.search(r"'(-\S+) ([^']*)'\. Error: ([^,\n]*)", message)
    if found is None:
        return f'unknown ROS arguments: {" ".join(message.split())}; docs.ros.org describes --ros-args'
    option, value, reason = found.groups()
    if option == '--params-file':
        reason = 'is not a file' if not Path(value).is_file() else f'cannot be read: {reason}'
    else:
        reason = 'is not valid'
    return f'{option} {value} {reason}; expected {_EXPECTED.get(option, "another value")}'


def _full_shared_memory(folder: str = '/dev/shm') -> str:
    """Return why Fast DDS would end this process by SIGBUS as soon as it is loaded; empty if it would not.

    With more free space than that, but too little for its segments, Fast DDS uses UDP alone and says so.
    """
    if 'fastrtps' not in os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return ''
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ''
    if free >= _LEAST_SHARED_MEMORY:
        return ''
    return (
        f'{folder} has {free} bytes free; Fast DDS needs at least {_LEAST_SHARED_MEMORY}. Remove files of processes '
        'that were killed (fastdds shm clean), or make it larger (docker run --shm-size=512m)'
    )


def start(node: Any) -> None:
    """Configure and activate a lifecycle node that wants to start by itself."""
    if not hasattr(node, 'starts_by_itself') or not node.starts_by_itself():
        return
    from rclpy.lifecycle import TransitionCallbackReturn

    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def leave_at_once(node: Any) -> None:
    """End the process although a thread is stuck in native code, where nothing in Python can reach it."""
    node.get_logger().error('leaving without waiting for a stuck estimator')
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_exit_code)
