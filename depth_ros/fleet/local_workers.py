"""Workers that are processes of this machine."""

import os
import signal
import threading
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from depth_ros.errors import DepthRosError
from depth_ros.fleet.workers import Answer, Task, Work, answer_of


class LocalWorkers:
    """Processes of this machine; a worker is identified by its process.

    They are spawned, because forking a process in which OpenCV has started threads may deadlock.
    """

    capacity = 1

    def __init__(self, work: Work) -> None:
        self._work = work
        self._connections: dict[SpawnProcess, Connection[Any, Any]] = {}

    def start(self) -> SpawnProcess:
        """Start a process, which loads the pipeline."""
        context = get_context('spawn')
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._work, theirs), daemon=True)
        process.start()
        theirs.close()  # so that the end of the process is the end of the connection
        self._connections[process] = ours
        return process

    def give(self, worker: SpawnProcess, task: Task) -> None:
        """Send a task; if the process has died, ``wait`` reports it."""
        try:
            self._connections[worker].send(task)
        except OSError:
            return

    def wait(self) -> tuple[SpawnProcess, Answer]:
        """Return the next answer.

        Raises:
            DepthRosError: a worker could not load the pipeline.
        """
        ready = connection.wait(list(self._connections.values()))
        worker = next(each for each, link in self._connections.items() if link in ready)
        try:
            answer = self._connections[worker].recv()
        except (EOFError, ConnectionError):
            worker.join()
            self._connections.pop(worker).close()
            return worker, Answer(death=f'the worker was {_cause(worker.exitcode)}')
        if isinstance(answer, DepthRosError):
            raise answer
        return worker, answer

    def stop(self) -> None:
        """Terminate the processes; temporary files of unfinished results are removed by the next run."""
        for worker, link in self._connections.items():
            worker.terminate()
            worker.join()
            link.close()
        self._connections.clear()


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f'killed by {signal.Signals(-exit_code).name} (SIGKILL is often the sign of too little memory)'
    return f'ended with exit code {exit_code}'


def _serve(work: Work, link: 'Connection[Any, Any]') -> None:
    """Do the tasks that arrive until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the main process, which terminates this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        job = work.start()
    except DepthRosError as error:
        link.send(error)
        return
    while True:
        try:
            task = link.recv()
        except EOFError:
            return
        link.send(answer_of(job, task))


def _end_with_parent() -> None:
    """End the process when the main process is killed, so that it does not go on writing."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
