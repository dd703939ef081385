"""An estimator for tests and benchmarks: returns constant disparity, and fails or hangs in chosen frames."""

import threading
from collections.abc import Callable

import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.types import RawDisparity, StereoFrame


class FakeEstimator:
    """Returns the same disparity for every pixel, as for a wall parallel to the image.

    Args:
        disparity_px: Disparity of every pixel.
        latency_s: Duration of an estimate, seconds; ``cancel`` ends it early.
        fail_at: Whether to raise ``EstimatorError``, by the frame's number, counted from 0.
        hang_at: Whether to never return, even after ``cancel``, by the frame's number.
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
        """Return the disparity after the latency.

        Raises:
            EstimatorError: chosen for this frame, cancelled, or the estimator is closed.
        """
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
            raise EstimatorError(f'simulated failure of frame {number}')
        disparity = np.full(frame.left.shape[:2], self._disparity_px, np.float32)
        return RawDisparity(disparity, None, 0.0, self._disparity_px)

    def cancel(self) -> None:
        """End the current estimate early."""
        self._cancelled.set()

    def close(self) -> None:
        """Count the call; later estimates fail."""
        self.times_closed += 1
