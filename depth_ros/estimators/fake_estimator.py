"""An estimator for tests and benchmarks: measures nothing and misbehaves on command."""

import threading
from collections.abc import Callable

import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.types import RawDisparity, StereoFrame


class FakeEstimator:
    """Sees a wall: the same disparity everywhere.

    Args:
        disparity_px: What it sees.
        latency_s: How long it takes; ``cancel`` cuts it short.
        fail_at: Tells by the frame's number (from 0) whether to raise ``EstimatorError``.
        hang_at: Tells by the frame's number whether to never return, whatever ``cancel`` asks.
    """

    name = 'fake'

    def __init__(
        self,
        disparity_px: float = 16.0,
        latency_s: float = 0.0,
        fail_at: Callable[[int], bool] = lambda n: False,
        hang_at: Callable[[int], bool] = lambda n: False,
    ) -> None:
        self._disparity_px = disparity_px
        self._latency_s = latency_s
        self._fail_at = fail_at
        self._hang_at = hang_at
        self._cancelled = threading.Event()
        self.frames = 0
        self.times_closed = 0

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Return the wall, late or never if asked to; a closed estimator fails."""
        number, self.frames = self.frames, self.frames + 1
        if self.times_closed:
            raise EstimatorError('used after close()')
        if self._hang_at(number):
            threading.Event().wait()
        self._cancelled.clear()
        if self._latency_s and self._cancelled.wait(self._latency_s):
            raise EstimatorError('cancelled')
        if self.times_closed:
            raise EstimatorError('closed while a frame was estimated')
        if self._fail_at(number):
            raise EstimatorError(f'told to fail on frame {number}')
        disparity = np.full(frame.left.shape[:2], self._disparity_px, np.float32)
        return RawDisparity(disparity, None, 0.0, self._disparity_px)

    def cancel(self) -> None:
        """End a pending latency."""
        self._cancelled.set()

    def close(self) -> None:
        """Count the call."""
        self.times_closed += 1
