"""The seam between the pipeline and whatever measures depth."""

from collections.abc import Sequence
from typing import Protocol

from depth_ros.types import DepthEstimate, Frame, RawDisparity, StereoFrame


class Estimator(Protocol):
    """Measures the disparity of a pair. Used by one thread at a time."""

    name: str
    """For logs and diagnostics."""

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Measure a pair.

        Raises:
            EstimatorError: the estimator failed on this frame; the next one may be fine.
        """
        ...

    def cancel(self) -> None:
        """Ask a running ``estimate`` to end soon, from another thread."""
        ...

    def close(self) -> None:
        """Release memory and device.

        The owner calls it exactly once, when it no longer uses the estimator and no ``estimate`` is running. A network
        that several cameras share is released when the last of them has closed its share.
        """
        ...


class MonoEstimator(Protocol):
    """Estimates the depth of one picture. Used by one thread at a time."""

    name: str
    """For logs and diagnostics."""

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate a picture's depth, in metres or not, as the result says.

        Raises:
            EstimatorError: the estimator failed on this frame; the next one may be fine.
        """
        ...

    def cancel(self) -> None:
        """Ask a running ``estimate`` to end soon, from another thread."""
        ...

    def close(self) -> None:
        """Release memory and device.

        The owner calls it exactly once, when it no longer uses the estimator and no ``estimate`` is running. A network
        that several cameras share is released when the last of them has closed its share.
        """
        ...


class BatchEstimator(MonoEstimator, Protocol):
    """A mono estimator that may take several frames at once."""

    largest_batch: int
    """How many frames it takes at once."""

    def estimate_batch(self, frames: Sequence[Frame]) -> list[DepthEstimate]:
        """Estimate frames of one size together.

        Raises:
            EstimatorError: none of them could be estimated.
        """
        ...
