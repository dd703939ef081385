"""Reaction to failures of an estimator: continue, pause, build a new estimator, or stop estimating."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from depth_ros.errors import DeadlineExceeded, DepthRosError, DeviceLost, OutOfMemory, ServerUnavailable
from depth_ros.messages.drop_reasons import DropReason

_RENEW_AFTER_FAILURES = 100
_MIN_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0


@dataclass(frozen=True)
class FailureResponse:
    """Reaction to one failed frame."""

    reason: DropReason
    """Reason under which the frame is counted."""
    text: str
    """Message: what happened and what to do."""
    renew: bool = False
    """Whether to build the estimator again."""
    device_lost: bool = False
    """Whether only a new process can use the device again."""


class FailureRecovery:
    """Counts failures. Methods are called by the worker's thread only; other threads read the attributes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = 0.0
        self._resume_s = 0.0
        self.failures_in_a_row = 0
        self.device_lost = False

    def reason_to_skip(self) -> DropReason | None:
        """Return the reason for which the next frame is dropped without an estimate; None = process it."""
        if self.device_lost:
            return DropReason.DEVICE_LOST
        return DropReason.OUT_OF_MEMORY if self._clock() < self._resume_s else None

    def succeeded(self) -> None:
        """Record a frame that was processed."""
        self.failures_in_a_row, self._pause_s = 0, 0.0

    def failed(self, error: Exception) -> FailureResponse:
        """Record a frame that failed; return the reaction."""
        self.failures_in_a_row += 1
        if isinstance(error, OutOfMemory):
            self._pause_s = min(max(_MIN_PAUSE_S, 2 * self._pause_s), _MAX_PAUSE_S)
            self._resume_s = self._clock() + self._pause_s
            text = (
                f'out of memory, next attempt in {self._pause_s:g} s: {error}. Free device memory, use a smaller '
                'network, or set memory_limit_mb'
            )
            return FailureResponse(DropReason.OUT_OF_MEMORY, text, renew=True)
        if isinstance(error, DeviceLost):
            self.device_lost = True
            text = f'the device is lost and only a new process can use it again: {error}. Restart the node'
            return FailureResponse(DropReason.DEVICE_LOST, text, device_lost=True)
        if isinstance(error, (DeadlineExceeded, ServerUnavailable)):  # the network connects again by itself
            late = isinstance(error, DeadlineExceeded)
            return FailureResponse(DropReason.DEADLINE if late else DropReason.SERVER_UNAVAILABLE, str(error))
        kind = '' if isinstance(error, DepthRosError) else f'{type(error).__name__}: '
        renew = self.failures_in_a_row % _RENEW_AFTER_FAILURES == 0
        return FailureResponse(DropReason.ESTIMATOR_FAILED, f'estimating a frame failed: {kind}{error}', renew)
