"""Workers that are actors of a Ray cluster: one on this machine that is started for the run, or a running one."""

import logging
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from depth_ros.errors import BadSettings, DepthRosError
from depth_ros.files.install_command import install_command
from depth_ros.fleet.workers import Answer, Task, Work, answer_of

_POLL_S = 0.5
"""How often waiting is interrupted, so that Ctrl-C is noticed."""
_QUIET = {'RAY_USAGE_STATS_ENABLED': '0', 'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0'}
_LOOPBACK = '127.0.0.1'


class RayWorkers:
    """Actors of Ray; a worker is identified by its actor.

    Args:
        work: Work of the actors. This package must be installed on all machines of the cluster.
        address: ``ray`` for the cluster of $RAY_ADDRESS or, without it, one that is started on the loopback interface
            of this machine; ``ray://HOST:PORT`` for the client server of a running cluster.
        cpus: Number of processors that Ray reserves for a worker.
        gpus: Number of GPUs that Ray reserves for a worker, such as 0.5.

    Raises:
        BadSettings: Ray is not installed, the cluster cannot be reached, or it has not the resources of one worker.
    """

    def __init__(self, work: Work, address: str, cpus: float, gpus: float) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise BadSettings(f'--on {address} needs Ray ({error}): {install_command("ray")}') from error
        self._ray = ray
        options: dict[str, Any] = {'logging_level': logging.ERROR, 'log_to_driver': False}
        if address != 'ray':
            options['address'] = address
        elif not os.environ.get('RAY_ADDRESS'):
            options |= {'address': 'local', 'include_dashboard': False, '_node_ip_address': _LOOPBACK}
        try:
            ray.init(**options)
        except Exception as error:  # ConnectionError, ValueError, and errors of gRPC
            lines = str(error).split('\n')  # with the traceback of the cluster, if it has one
            reason = next((each.strip().rstrip('.') for each in reversed(lines) if each.strip()), type(error).__name__)
            raise BadSettings(
                f'--on {address}: no Ray cluster can be used: {reason}. Check address and token'
            ) from error
        resources = ray.cluster_resources()
        fitting = [resources.get('CPU', 0) / cpus if cpus else None, resources.get('GPU', 0) / gpus if gpus else None]
        self.capacity = int(min((each for each in fitting if each is not None), default=1))
        if not self.capacity:
            ray.shutdown()
            raise BadSettings(
                f'the cluster has {resources.get("CPU", 0):g} processors and {resources.get("GPU", 0):g} GPUs; '
                f'expected those of one worker: --cpus-per-worker {cpus:g}, --gpus-per-worker {gpus:g}'
            )
        self._work = work
        self._actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Actor)
        self._busy: dict[Any, Any] = {}

    def start(self) -> Any:
        """Start an actor, which loads the pipeline."""
        return self._actor.remote(self._work)

    def give(self, worker: Any, task: Task) -> None:
        """Send a task; if the actor has died, ``wait`` reports it."""
        self._busy[worker.do.remote(task)] = worker

    def wait(self) -> tuple[Any, Answer]:
        """Return the next answer.

        Raises:
            DepthRosError: a worker could not load the pipeline.
        """
        ready: list[Any] = []
        with redirect_stdout(sys.stderr):  # where Ray reports killed workers, on a thread of its own
            while not ready:
                ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=_POLL_S)
        worker = self._busy.pop(ready[0])
        try:
            answer = self._ray.get(ready[0])
        except self._ray.exceptions.RayError as error:  # the process, its machine or its connection was lost
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            if 'creation task' in lines[0]:
                raise BadSettings(
                    f'a worker cannot be started: {lines[-1]}. Install the same version of this package on all machines'
                ) from error
            return worker, Answer(death=f'the worker died ({lines[0].rstrip(".")})')
        if isinstance(answer, DepthRosError):
            raise answer
        return worker, answer

    def stop(self) -> None:
        """End the actors, and the cluster if it was started here."""
        for worker in self._busy.values():
            self._ray.kill(worker)
        self._busy.clear()
        self._ray.shutdown()


class _Actor:
    """Runs in a process of the cluster."""

    def __init__(self, work: Work) -> None:
        self._error: DepthRosError | None = None
        try:
            self._job = work.start()
        except DepthRosError as error:
            self._error = error

    def do(self, task: Task) -> Answer | DepthRosError:
        return self._error or answer_of(self._job, task)
