"""A guard process that kills this process if it cannot handle SIGINT or SIGTERM.

This happens when native code holds the interpreter lock. Python's C-level signal handler writes the number of each
signal to a pipe (``signal.set_wakeup_fd``) even while a thread holds the lock; the guard process reads the other end of
the pipe. It ends together with this process, because that closes the pipe. The alternative, a re-armed
``faulthandler.dump_traceback_later(exit=True)``, would also kill processes that received no signal: one that is paused
by SIGSTOP or a debugger, or one in a long import.

Run as a script, by path, so that the guard imports only a few modules of the standard library.
"""

import contextlib
import faulthandler
import os
import select
import signal
import sys
import time

_NO_HANDLER_S = 2.0
"""Time from a signal to the kill if Python did not run its signal handler."""
_HANDLER_S = 8.0
"""Time from a signal to the kill if Python ran its signal handler; ``ros2 launch`` kills after 10 s."""
_DUMP_S = 0.2
_ACKNOWLEDGEMENT = b'\0'
_EXIT_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_pipe: int | None = None
"""Write end of the pipe in the guarded process; it is closed when the process ends."""


def start() -> None:
    """Start the guard of this process, once. If it cannot be started, this process runs without one."""
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
        print(f'the exit guard process cannot be started, continuing without it: {error}', file=sys.stderr)
        os.close(write_end)
    else:
        _pipe = write_end
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    finally:
        os.close(read_end)


def acknowledge() -> None:
    """Notify the guard that Python runs its signal handlers; call this from a signal handler."""
    if _pipe is not None:
        with contextlib.suppress(OSError):  # the guard was killed
            os.write(_pipe, _ACKNOWLEDGEMENT)


def guard(process: int) -> None:
    """Read signal numbers from standard input until it closes; kill the parent process if it does not end in time."""
    for number in (*_EXIT_SIGNALS, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal_s = kill_s = None
    while kill_s is None or select.select([0], [], [], max(0.0, kill_s - time.monotonic()))[0]:
        received = os.read(0, 64)
        if not received:
            return
        if signal_s is None and any(number in received for number in _EXIT_SIGNALS):
            signal_s = time.monotonic()
            kill_s = signal_s + _NO_HANDLER_S
        if signal_s is not None and _ACKNOWLEDGEMENT in received:
            kill_s = signal_s + _HANDLER_S
    if os.getppid() != process:
        return
    os.kill(process, signal.SIGUSR1)
    time.sleep(_DUMP_S)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    signal.alarm(1)  # writing blocks if the reader of standard error is stuck
    os.write(2, b'depth_ros: killed after SIGINT or SIGTERM: native code (stacks above) did not return in time\n')


if __name__ == '__main__':
    guard(int(sys.argv[1]))
