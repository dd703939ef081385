"""A backend that computes what it is told and fails on command, for tests of everything around it."""

import threading
from collections.abc import Callable, Mapping

import numpy as np

from depth_ros.errors import DeviceLost, InferenceError, OutOfMemory
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.types import AnyArray

Never: Callable[[int], bool] = lambda number: False  # noqa: E731


class FakeRuntime:
    """Computes ``compute(inputs)``; every fault is chosen by the run's number, from 0.

    Args:
        inputs: As a file would declare them.
        outputs: As a file would declare them.
        compute: Inputs by name → outputs by name.
        latency_s: How long a run takes; ``cancel`` cuts it short.
        nan_at: Fill the first output with NaN.
        fail_at: Raise ``InferenceError``.
        oom_at: Raise ``OutOfMemory``.
        lost_at: Raise ``DeviceLost``, from then on.
        hang_at: Never return, whatever ``cancel`` asks.
    """

    device = 'fake'

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
        """Compute, or do what was commanded for this run; a closed backend fails."""
        number, self.runs = self.runs, self.runs + 1
        self._check_open()
        if self._hang_at(number):
            threading.Event().wait()
        if self._latency_s and self._cancelled.wait(self._latency_s):
            raise InferenceError('cancelled')
        self._check_open()
        self._lost = self._lost or self._lost_at(number)
        if self._lost:
            raise DeviceLost('told to lose the device')
        if self._oom_at(number):
            raise OutOfMemory('told to have no memory')
        if self._fail_at(number):
            raise InferenceError(f'told to fail on run {number}')
        outputs = self._compute(tensors)
        if self._nan_at(number):
            name = next(iter(outputs))
            outputs[name] = np.full_like(outputs[name], np.nan)
        return outputs

    def cancel(self) -> None:
        """End a pending latency."""
        self._cancelled.set()

    def close(self) -> None:
        """Count the call."""
        self.times_closed += 1

    def _check_open(self) -> None:
        if self.times_closed:
            raise InferenceError('used after close()')
