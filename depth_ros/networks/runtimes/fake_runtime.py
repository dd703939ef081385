"""A runtime for tests: computes a given function, and fails or hangs in the runs that the test chooses."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from depth_ros.errors import DeviceLost, InferenceError, OutOfMemory
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.types import AnyArray

Never: Callable[[int], bool] = lambda number: False  # noqa: E731


class FakeRuntime:
    """Computes ``compute(inputs)``. Each fault is a function of the run's number, counted from 0.

    Args:
        inputs: Inputs as a file would declare them.
        outputs: Outputs as a file would declare them.
        compute: Function from inputs by name to outputs by name.
        latency_s: Duration of a run, seconds; ``cancel`` ends it early.
        nan_at: Runs whose first output is filled with NaN.
        fail_at: Runs that raise ``InferenceError``.
        oom_at: Runs that raise ``OutOfMemory``.
        lost_at: Runs from which on every run raises ``DeviceLost``.
        hang_at: Runs that never return, even after ``cancel``.
    """

    device = 'fake'
    engines: Path | None = None

    def __init__(
        self,
        inputs: tuple[TensorInfo, ...],
        outputs: tuple[TensorInfo, ...],
        compute: Callable[[Mapping[str, AnyArray]], dict[str, AnyArray]],
        latency_s: float = 0.0,
        nan_at: Callable[[int], bool] = Never,
        fail_at: Callable[[int], bool] = Never,
        oom_at: Callable[[int], bool] = Never,
        lost_at: Callable[[int], bool] = Never,
        hang_at: Callable[[int], bool] = Never,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.runs = 0
        self.times_closed = 0
        self._compute = compute
        self._latency_s = latency_s
        self._nan_at, self._fail_at, self._oom_at = nan_at, fail_at, oom_at
        self._lost_at, self._hang_at = lost_at, hang_at
        self._lost = False
        self._cancelled = threading.Event()

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Compute the outputs, or fail as chosen for this run.

        Raises:
            InferenceError: chosen for this run, cancelled, or the runtime is closed.
            OutOfMemory, DeviceLost: chosen for this run.
        """
        number, self.runs = self.runs, self.runs + 1
        self._check_open()
        if self._hang_at(number):
            threading.Event().wait()
        if self._latency_s and self._cancelled.wait(self._latency_s):
            raise InferenceError('cancelled')
        self._check_open()
        self._lost = self._lost or self._lost_at(number)
        if self._lost:
            raise DeviceLost('simulated loss of the device')
        if self._oom_at(number):
            raise OutOfMemory('simulated lack of memory')
        if self._fail_at(number):
            raise InferenceError(f'simulated failure of run {number}')
        outputs = self._compute(tensors)
        if self._nan_at(number):
            name = next(iter(outputs))
            outputs[name] = np.full_like(outputs[name], np.nan)
        return outputs

    def cancel(self) -> None:
        """End the current run early."""
        self._cancelled.set()

    def close(self) -> None:
        """Count the call; later runs fail."""
        self.times_closed += 1

    def _check_open(self) -> None:
        if self.times_closed:
            raise InferenceError('used after close()')
