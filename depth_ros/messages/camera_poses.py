"""Poses of a camera at the stamps of its images, from odometry messages or from tf, for rclpy and for recordings."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from depth_ros.geometry import parse_pose, quaternion_of
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.multiview.pose_track import PoseFault, PoseTrack, TrackedPose
from depth_ros.scale.sensor_pose import Transform
from depth_ros.types import Float64Array

Report = Callable[[str, str], object]
"""Called with kind and text of a problem with a pose."""
PoseLookup = Callable[[str, str, int], Float64Array | None]
"""Target frame, source frame, stamp in ns → (4, 4) pose of the source in the target frame at that stamp, or None."""
_RESTART = 'the earlier images are no longer used'
_FAULT_TEXTS = {
    PoseFault.OUT_OF_ORDER: 'a pose is older than the pose before it and is not used. Use one publisher only',
    PoseFault.TIME_JUMP: f'the stamps of the poses jumped back: {_RESTART}',
    PoseFault.POSE_JUMP: f'the pose jumped (loop closure or relocalisation): {_RESTART}. Use poses of odometry',
    PoseFault.GAP: f'no pose was received for some time: {_RESTART}',
    PoseFault.FRAME_CHANGED: f'the frames of the odometry changed: {_RESTART}. Check that only one node publishes',
}


def mount_of(extrinsics: str) -> Float64Array | None:
    """Return the (4, 4) pose of a parameter that is a valid pose or empty; None if it is empty."""
    return parse_pose(extrinsics).astype(np.float64) if extrinsics else None


class CameraPoses(Protocol):
    """Poses of a camera in a frame that does not move."""

    track: PoseTrack

    def at(self, stamp_ns: int, frame_id: str) -> TrackedPose | str:
        """Return the pose of the optical frame ``frame_id`` at a time, or why it is unknown."""
        ...


class OdometryPoses:
    """Poses from nav_msgs/Odometry and the mounting of the camera.

    Args:
        mount: (4, 4) pose of the optical frame in the child frame of the odometry; None = from ``transform``.
        transform: Looks up the mounting.
        report: Called with kind and text of a problem with a pose.
        max_gap_s: Largest time between two poses that are interpolated.
        history_s: Duration for which poses are kept.
    """

    def __init__(
        self,
        mount: Float64Array | None,
        transform: Transform,
        report: Report = lambda kind, text: None,
        max_gap_s: float = 0.5,
        history_s: float = 10.0,
    ) -> None:
        self._report = report
        self._extrinsics = mount
        self._transform = transform
        self._child_frame = ''
        self.track = PoseTrack(max_gap_s, history_s)

    def add(self, message: Any) -> None:
        """Add an Odometry message; a message that is unusable is reported and counted."""
        p, q = message.pose.pose.position, message.pose.pose.orientation
        position, rotation = (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
        child_frame = message.child_frame_id.lstrip('/')
        fault = self.track.add(
            stamp_ns(message.header.stamp), position, rotation, (message.header.frame_id, child_frame)
        )
        if fault is not PoseFault.INVALID:
            self._child_frame = child_frame
        if fault is not None:
            self._report(fault, _fault_text(fault, position, rotation))

    def at(self, stamp_ns: int, frame_id: str) -> TrackedPose | str:
        """Return the pose of the camera: pose of the child frame · mounting of the camera on it."""
        if self.track.newest_ns is None:
            return self.track.missing(stamp_ns)
        mount = self._mount(frame_id, stamp_ns)
        if mount is None:
            return (
                f"the pose of the camera '{frame_id}' in the child frame '{self._child_frame}' of the odometry is "
                'unknown: set extrinsics (scale.extrinsics of mono_depth), or publish tf and install tf2_ros'
            )
        body = self.track.at(stamp_ns)
        return self.track.missing(stamp_ns) if body is None else TrackedPose(body.pose @ mount, body.segment)

    def _mount(self, frame_id: str, stamp_ns: int) -> Float64Array | None:
        if self._extrinsics is not None:
            return self._extrinsics
        if not self._child_frame or not frame_id:
            return None
        if frame_id == self._child_frame:
            return np.eye(4)
        pose = self._transform(self._child_frame, frame_id, stamp_ns)
        return None if pose is None else pose.astype(np.float64)


class TfPoses:
    """Poses from tf.

    Args:
        fixed_frame: Frame that does not move.
        lookup: Looks up transforms at a stamp.
        report: Called with kind and text of a problem with a pose.
        history_s: Duration for which poses are kept.
    """

    def __init__(
        self,
        fixed_frame: str,
        lookup: PoseLookup,
        report: Report = lambda kind, text: None,
        history_s: float = 10.0,
    ) -> None:
        self._report = report
        self._fixed_frame = fixed_frame
        self._lookup = lookup
        self.track = PoseTrack(math.inf, history_s)  # tf interpolates; the times are those of the images

    def at(self, stamp_ns: int, frame_id: str) -> TrackedPose | str:
        """Return the pose of the camera in ``fixed_frame``."""
        pose = self._lookup(self._fixed_frame, frame_id, stamp_ns)
        if pose is None:
            return (
                f"tf has no transform from the camera '{frame_id}' to fixed_frame '{self._fixed_frame}' at the stamp "
                'of the image. Check both names (ros2 run tf2_ros tf2_echo), and that tf2_ros is installed'
            )
        position, rotation = (float(pose[0, 3]), float(pose[1, 3]), float(pose[2, 3])), (math.nan,) * 4
        if np.isfinite(pose).all():
            rotation = quaternion_of(pose[:3, :3])
        fault = self.track.add(stamp_ns, position, rotation)
        if fault is not None:
            self._report(fault, _fault_text(fault, position, rotation))
        return self.track.at(stamp_ns) or self.track.missing(stamp_ns)


def _fault_text(fault: PoseFault, position: tuple[float, ...], rotation: tuple[float, ...]) -> str:
    if fault is not PoseFault.INVALID:
        return _FAULT_TEXTS[fault]
    shown = (', '.join(f'{each:g}' for each in values) for values in (position, rotation))
    return (
        'a pose has the position ({}) and the quaternion ({}) of length {:.3g}; expected finite numbers and length 1. '
        'It is not used. Check the odometry'
    ).format(*shown, math.hypot(*rotation))
