"""The protocols between the pipeline and the estimators of depth."""

from collections.abc import Sequence
from typing import Protocol

from depth_ros.types import DepthEstimate, Frame, RawDisparity, StereoFrame, View


class AnyEstimator(Protocol):
    """What all estimators have in common. Used by one thread at a time."""

    name: str
    """Name for logs and diagnostics."""

    def cancel(self) -> None:
        """Make a running ``estimate`` end soon; called from another thread."""
        ...

    def close(self) -> None:
        """Release memory and device.

        The owner calls it exactly once, when it no longer uses the estimator and no ``estimate`` is running. A network
        that several cameras share is released when the last camera closes its share.
        """
        ...


class Estimator(AnyEstimator, Protocol):
    """Measures the disparity of a stereo pair."""

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Measure the disparity of a pair.

        Raises:
            EstimatorError: the estimator failed on this frame; the next frame may succeed.
        """
        ...


class MonoEstimator(AnyEstimator, Protocol):
    """Estimates the depth of one image."""

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate the depth of an image; the result states whether it is in metres.

        Raises:
            EstimatorError: the estimator failed on this frame; the next frame may succeed.
        """
        ...


class BatchEstimator(MonoEstimator, Protocol):
    """A mono estimator that can process several frames at once."""

    largest_batch: int
    """Largest number of frames per call of ``estimate_batch``."""

    def estimate_batch(self, frames: Sequence[Frame]) -> list[DepthEstimate]:
        """Estimate the depth of frames of one size together.

        Raises:
            EstimatorError: the estimator failed on the batch.
        """
        ...


class MultiviewEstimator(AnyEstimator, Protocol):
    """Measures depth from several images of a moving camera."""

    def estimate(self, reference: View, sources: Sequence[View]) -> DepthEstimate:
        """Measure the depth of the reference, in metres, from at least one earlier view of the same scene.

        Raises:
            EstimatorError: the estimator failed on this frame; the next frame may succeed.
        """
        ...
