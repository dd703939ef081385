"""What follows from an estimator's failures: nothing, a pause, a new estimator, or no more estimates at all."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from depth_ros.errors import DepthRosError, DeviceLost, OutOfMemory
from depth_ros.messages.drop_reasons import DropReason

_RENEW_AFTER_FAILURES = 100
_LEAST_PAUSE_S, _MOST_PAUSE_S = 1.0, 30.0


@dataclass(frozen=True)
class FailureResponse:
    """Of one failed frame."""

    reason: DropReason
    """By which the frame is counted."""
    text: str
    """For people: what happened and what to do."""
    renew: bool = False
    """Build the estimator anew."""
    device_lost: bool = False
    """Only a new process can use the device again."""


class FailureRecovery:
    """Remembers failures. Used by the worker's thread; others only read the attributes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = 0.0
        self._resume_s = 0.0
        self.failures_in_a_row = 0
        self.device_lost = False

    def reason_to_skip(self) -> DropReason | None:
        """Return why the next frame need not be tried, if so."""
        if self.device_lost:
            return DropReason.DEVICE_LOST
        return DropReason.OUT_OF_MEMORY if self._clock() < self._resume_s else None

    def succeeded(self) -> None:
        """Note a frame that worked."""
        self.failures_in_a_row, self._pause_s = 0, 0.0

    def failed(self, error: Exception) -> FailureResponse:
        """Note a frame that failed; say what follows."""
        self.failures_in_a_row += 1
        if isinstance(error, OutOfMemory):
            self._pause_s = min(max(_LEAST_PAUSE_S, 2 * self._pause_s), _MOST_PAUSE_S)
            self._resume_s = self._clock() + self._pause_s
            text = (
                f'no memory for a frame, trying again in {self._pause_s:g} s: {error}. Free the device, use a smaller '
                'network, or set memory_limit_mb'
            )
            return FailureResponse(DropReason.OUT_OF_MEMORY, text, renew=True)
        if isinstance(error, DeviceLost):
            self.device_lost = True
            text = f'the device is lost, only a new process can use it again: {error}'
            return FailureResponse(DropReason.DEVICE_LOST, text, device_lost=True)
        kind = '' if isinstance(error, DepthRosError) else f'{type(error).__name__}: '
        renew = self.failures_in_a_row % _RENEW_AFTER_FAILURES == 0
        return FailureResponse(DropReason.ESTIMATOR_FAILED, f'a frame failed: {kind}{error}', renew)
