"""State of one moving camera between its frames: keyframes, motion, and the newest depth that was measured."""

from dataclasses import dataclass, replace

import numpy as np

from depth_ros.estimators.estimator import MultiviewEstimator
from depth_ros.multiview.keyframes import KeyframeBuffer, MotionState
from depth_ros.multiview.warp_depth import warp_depth
from depth_ros.types import DepthEstimate, Float32Array, Float64Array, View

_HELD_CONFIDENCE = 0.5
"""Factor of the confidence of depth that was measured earlier."""
_MIN_HELD_SHARE = 0.1
"""Smallest share of known pixels with which held depth is used."""
_STATE_TEXTS = {
    MotionState.MOVING: '',
    MotionState.TOO_LITTLE_MOTION: 'the camera has moved too little since the last keyframes for new depth',
    MotionState.ROTATING: 'the camera turns without moving, which gives no new depth',
    MotionState.NO_OVERLAP: 'no keyframe shows the scene of this image; the camera must move on',
}
"""Why the motion gives no depth of an image."""


@dataclass(frozen=True)
class _Measured:
    view: View
    depth_m: Float32Array
    confidence: Float32Array | None


class MovingCamera:
    """Estimates the depth of the views of one camera from its earlier views. Used by one thread at a time.

    Args:
        max_age_s: Largest age of a keyframe that is used; 0 = no limit.
    """

    def __init__(self, max_age_s: float = 0.0) -> None:
        self._buffer = KeyframeBuffer(max_age_s=max_age_s)
        self._segment: int | None = None
        self._newest: View | None = None
        self._measured: _Measured | None = None
        self.state: MotionState | None = None
        """What the motion allowed at the newest view; None before the first view."""
        self.held = False
        """Whether the newest depth was measured at an earlier view."""
        self.restarts = 0
        """How often the keyframes were discarded."""

    @property
    def state_text(self) -> str:
        """The state, and why it gives no depth; empty before the first view."""
        return '' if self.state is None else f'{self.state.value}: {_STATE_TEXTS[self.state]}'

    @property
    def keyframe_count(self) -> int:
        """Number of keyframes; may be read by another thread."""
        return len(self._buffer)

    def keyframe_poses(self) -> list[Float64Array]:
        """Return the (4, 4) poses of the keyframes in the optical frame of the newest view, oldest first."""
        if self._newest is None:
            return []
        to_view = np.linalg.inv(self._newest.pose)
        return [to_view @ keyframe.pose for keyframe in self._buffer.keyframes]

    def estimate(
        self, view: View, segment: int, estimator: MultiviewEstimator, hold: bool = False
    ) -> DepthEstimate | None:
        """Return the depth of a view in metres; None if its motion allows no estimate.

        The keyframes are discarded if the segment of the pose or the camera has changed, or time went back.

        Args:
            view: The view.
            segment: Segment of its pose; poses of different segments are not comparable.
            estimator: Measures the depth.
            hold: Without an estimate, return the newest measured depth as it is seen from the new pose, with lower
                confidence. Nothing is returned if less than 10 % of the view would be known.

        Raises:
            EstimatorError: the estimator failed on this frame.
        """
        self._restart_if_interrupted(view, segment)
        self.state, self.held = self._buffer.motion(view), False
        if self.state is not MotionState.MOVING:
            self._buffer.add(view)
            return self._held(view) if hold else None
        estimate = estimator.estimate(view, self._buffer.sources(view))
        self._measured = _Measured(view, estimate.values, estimate.confidence)
        self._buffer.add(replace(view, depth_m=estimate.values))
        return estimate

    def _restart_if_interrupted(self, view: View, segment: int) -> None:
        newest, self._newest = self._newest, view
        interrupted = newest is not None and (
            segment != self._segment
            or (newest.camera, newest.image.shape) != (view.camera, view.image.shape)
            or view.stamp_ns < newest.stamp_ns
        )
        self._segment = segment
        if interrupted:
            self._buffer.clear()
            self._measured = None
            self.restarts += 1

    def _held(self, view: View) -> DepthEstimate | None:
        measured = self._measured
        if measured is None:
            return None
        confidence = np.ones_like(measured.depth_m) if measured.confidence is None else measured.confidence
        depth_m, certain = warp_depth(measured.depth_m, confidence, view.camera, measured.view.pose, view.pose)
        if np.isfinite(depth_m).mean() < _MIN_HELD_SHARE:
            return None
        self.held = True
        return DepthEstimate(depth_m, 'metric_depth', certain * np.float32(_HELD_CONFIDENCE))
