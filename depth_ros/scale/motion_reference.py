"""Depth from the motion of the camera, as a reference for the scale of a network."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from depth_ros.estimators.estimator import MultiviewEstimator
from depth_ros.geometry import pixel_slopes
from depth_ros.multiview.moving_camera import MovingCamera
from depth_ros.multiview.pose_track import TrackedPose
from depth_ros.scale.reference_points import ReferencePoints
from depth_ros.types import DepthEstimate, Frame, View

PoseAt = Callable[[int, str], TrackedPose | str]
"""Stamp in ns, optical frame → pose of the camera, or why it is unknown."""
_MAX_WAITING = 10
_MAX_WIDTH_PX = 240
_PERIOD_NS = 400_000_000
"""Smallest time between two estimates, which take time from the network."""
_MAX_AGE_S = 10.0
_STRIDE_PX = 3
_MIN_CONFIDENCE = 0.5


class MotionReference:
    """Measures points at some of the images of a moving camera. Used by one thread at a time.

    Args:
        pose_at: Returns poses of the camera; they may be known later than the images.
        estimator: Measures depth from several images.
    """

    def __init__(self, pose_at: PoseAt, estimator: MultiviewEstimator) -> None:
        self._pose_at = pose_at
        self._estimator = estimator
        self._moving = MovingCamera(_MAX_AGE_S)
        self._waiting: deque[Frame] = deque(maxlen=_MAX_WAITING)
        self._estimated_ns: int | None = None
        self.why = 'no pose of the camera is known yet'
        """Why the newest image gave no points; empty if it did or was not used."""

    def add(self, frame: Frame) -> ReferencePoints | None:
        """Add an image with a known camera; return points that were measured at it or at an earlier image, if any.

        Raises:
            EstimatorError: the estimator failed on an image.
        """
        if self._waiting and frame.stamp_ns < self._waiting[-1].stamp_ns:
            self._waiting.clear()  # time jumped back
        self._waiting.append(frame)
        known: tuple[Frame, TrackedPose] | None = None
        while self._waiting:
            pose = self._pose_at(self._waiting[0].stamp_ns, self._waiting[0].frame_id)
            if isinstance(pose, str):
                self.why = pose
                break
            known = self._waiting.popleft(), pose
        last_ns = self._estimated_ns
        if known is None or (last_ns is not None and 0 <= known[0].stamp_ns - last_ns < _PERIOD_NS):
            return None
        return self._measure(*known)

    def _measure(self, frame: Frame, pose: TrackedPose) -> ReferencePoints | None:
        self._estimated_ns = frame.stamp_ns
        view = _reduced(frame, pose)
        estimate = self._moving.estimate(view, pose.segment, self._estimator)
        if estimate is None:
            self.why = self._moving.state_text
            return None
        self.why = ''
        return _points(view, estimate)


def _reduced(frame: Frame, pose: TrackedPose) -> View:
    assert frame.camera is not None
    height, width = frame.image.shape[:2]
    view = View(frame.image, frame.camera, pose.pose, frame.stamp_ns, frame.frame_id)
    if width <= _MAX_WIDTH_PX:
        return view
    size = _MAX_WIDTH_PX, round(height * _MAX_WIDTH_PX / width)
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    return replace(view, image=np.asarray(image, np.uint8), camera=frame.camera.resized(*size))


def _points(view: View, estimate: DepthEstimate) -> ReferencePoints:
    """Return the reliable pixels as points in the optical frame."""
    z = estimate.values[::_STRIDE_PX, ::_STRIDE_PX]
    reliable = np.isfinite(z) & (z > 0)
    if estimate.confidence is not None:
        reliable &= estimate.confidence[::_STRIDE_PX, ::_STRIDE_PX] >= _MIN_CONFIDENCE
    columns, rows = (np.arange(0, side, _STRIDE_PX) for side in estimate.values.shape[::-1])
    x, y = pixel_slopes(view.camera, columns, rows)
    points = np.stack([x * z, y * z, z], axis=-1)[reliable]
    return ReferencePoints(points.astype(np.float32), view.stamp_ns, view.frame_id)
