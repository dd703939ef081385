"""Pose of another sensor in the frame of a camera: from ``scale.extrinsics``, or from tf."""

from collections.abc import Callable

import numpy as np

from depth_ros.geometry import parse_pose
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import Float32Array

Transform = Callable[[str, str, int], Float32Array | None]
"""Target frame, source frame, stamp in ns → (4, 4) pose of the source in the target frame, or None if unknown."""


def sensor_pose(
    sensor_frame: str, camera_frame: str, stamp_ns: int, settings: MonoSettings, transform: Transform
) -> Float32Array | None:
    """Return the (4, 4) pose of a sensor in the optical frame of a camera; None if it is unknown."""
    if settings.scale_extrinsics:
        return parse_pose(settings.scale_extrinsics)
    if sensor_frame == camera_frame:
        return np.eye(4, dtype=np.float32)
    return transform(camera_frame, sensor_frame, stamp_ns)


def no_transform(camera_frame: str, sensor_frame: str) -> str:
    """Return why the depth of a sensor cannot be used when its pose is unknown."""
    return (
        f"the pose of '{sensor_frame}' in '{camera_frame}' is unknown: set scale.extrinsics, or publish tf and install "
        'tf2_ros'
    )
