"""The seam between the pipeline and whatever measures depth."""

from typing import Protocol

from depth_ros.types import DepthEstimate, Frame, RawDepth, StereoFrame


class Estimator(Protocol):
    """Measures the disparity of a pair. Used by one thread at a time."""

    name: str
    """For logs and diagnostics."""

    def estimate(self, frame: StereoFrame) -> RawDepth:
        """Measure a pair.

        Raises:
            EstimatorError: the estimator failed on this frame; the next one may be fine.
        """
        ...

    def cancel(self) -> None:
        """Ask a running ``estimate`` to end soon, from another thread."""
        ...

    def close(self) -> None:
        """Let go of memory and device; it is not used again."""
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
        """Let go of memory and device; it is not used again."""
        ...
