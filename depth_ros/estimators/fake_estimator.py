"""Estimators for tests and benchmarks: constant disparity or depth, and failures in chosen frames."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.types import DepthEstimate, Float32Array, RawDisparity, StereoFrame, View


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


class FakeMultiviewEstimator:
    """Returns a given depth, the same for all images, and keeps what it was given.

    Args:
        depth_m: Depth of every pixel, or (H, W) depth.
        confidence: Confidence of every pixel; None = the estimator gives none.
    """

    name = 'fake'

    def __init__(self, depth_m: float | Float32Array = 2.0, confidence: float | None = 0.8) -> None:
        self._depth_m = depth_m
        self._confidence = confidence
        self.calls: list[tuple[View, tuple[View, ...]]] = []
        """Reference and sources of every estimate."""

    def estimate(self, reference: View, sources: Sequence[View]) -> DepthEstimate:
        """Return the depth."""
        self.calls.append((reference, tuple(sources)))
        shape = reference.image.shape[:2]
        confidence = None if self._confidence is None else np.full(shape, self._confidence, np.float32)
        depth_m = np.array(np.broadcast_to(np.float32(self._depth_m), shape))
        return DepthEstimate(depth_m, 'metric_depth', confidence)

    def cancel(self) -> None:
        """Do nothing: an estimate ends at once."""

    def close(self) -> None:
        """Do nothing: nothing is held."""
