"""A process that kills this one when SIGINT or SIGTERM cannot be served because native code holds the interpreter lock.

Python's C-level signal handler writes the number of each signal to a pipe (``signal.set_wakeup_fd``) even while a
thread holds the interpreter lock, so the guard process at the other end of the pipe learns of it; until then it sleeps,
and it ends together with this process, whose end closes the pipe. The alternative, a re-armed
``faulthandler.dump_traceback_later(exit=True)``, would also kill a process that nobody asked to end: one that was
paused by SIGSTOP or a debugger, or that is in a long import.

Run as a script, by path, so that the guard imports only a few modules of the standard library.
"""

import contextlib
import faulthandler
import os
import select
import signal
import sys
import time

_UNANSWERED_S = 2.0
"""Time from a signal to the kill if Python has not run its handler."""
_ANSWERED_S = 8.0
"""The same if it has; ``ros2 launch`` kills after 10 s."""
_DUMP_S = 0.2
_ANSWER = b'\0'
_ENDING = (signal.SIGINT, signal.SIGTERM)

_pipe: int | None = None
"""Where signals are written in the guarded process; the guard sees it close when this process has ended."""


def start() -> None:
    """Start the guard of this process, once; without one, if no process can be started."""
    global _pipe
    if _pipe is not None:
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # SIGUSR1 prints the stacks of all threads without the interpreter lock. The guard sends it before it kills.
    faulthandler.register(signal.SIGUSR1, file=2)
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, '-I', '-S', __file__, str(os.getpid())],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, read_end, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
            setpgroup=0,  # Ctrl-C in a terminal must not end the guard before the process that it guards
        )
    except OSError as error:
        print(f'the exit guard cannot be started: {error}', file=sys.stderr)
        os.close(write_end)
    else:
        _pipe = write_end
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    finally:
        os.close(read_end)


def answer() -> None:
    """Tell the guard that Python serves signals; call it from a signal handler."""
    if _pipe is not None:
        with contextlib.suppress(OSError):  # the guard was killed
            os.write(_pipe, _ANSWER)


def guard(process: int) -> None:
    """Read signal numbers from standard input until it closes; kill the process, our parent, if it does not end."""
    for number in (*_ENDING, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asked_s = end_s = None
    while end_s is None or select.select([0], [], [], max(0.0, end_s - time.monotonic()))[0]:
        received = os.read(0, 64)
        if not received:
            return
        if asked_s is None and any(number in received for number in _ENDING):
            asked_s = time.monotonic()
            end_s = asked_s + _UNANSWERED_S
        if asked_s is not None and _ANSWER in received:
            end_s = asked_s + _ANSWERED_S
    if os.getppid() != process:
        return
    os.kill(process, signal.SIGUSR1)
    time.sleep(_DUMP_S)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    signal.alarm(1)  # nobody may read standard error
    os.write(2, b'depth_ros: killed after SIGINT or SIGTERM: native code (stacks above) did not return in time\n')


if __name__ == '__main__':
    guard(int(sys.argv[1]))
