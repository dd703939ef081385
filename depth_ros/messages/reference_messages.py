"""Points of metric sensors from their messages, in the frame of the sensor."""

from typing import Any

import numpy as np

from depth_ros.errors import BadInput
from depth_ros.geometry import pixel_slopes
from depth_ros.messages.read_messages import calibration, depth_m, point_fields, stamp_ns
from depth_ros.scale.reference_points import ReferencePoints
from depth_ros.stages.intrinsics import rectified_camera
from depth_ros.types import AnyArray, Float32Array

_MAX_POINTS = 20_000
"""More points do not improve the scale."""
_RANGE_RAYS = 5
_STANDARD_GRAVITY, _MAX_DEVIATION = 9.81, 1.5


def points_of_cloud(message: Any) -> ReferencePoints:
    """Return the points of a cloud.

    Raises:
        BadInput: it has no floating-point x, y, z, or less data than declared.
    """
    points = point_fields(message, 'xyz')
    sampled = points[:: max(points.size // _MAX_POINTS, 1)]
    return _reference(np.stack([sampled[name] for name in 'xyz'], axis=1), message)


def points_of_scan(message: Any) -> ReferencePoints:
    """Return the valid ranges of a laser scan as points in its x-y plane."""
    ranges = np.asarray(message.ranges, np.float32)
    angles = message.angle_min + message.angle_increment * np.arange(len(ranges))
    valid = (ranges >= message.range_min) & (ranges <= message.range_max)
    ranges, angles = ranges[valid], angles[valid]
    return _reference(np.stack([ranges * np.cos(angles), ranges * np.sin(angles), 0 * ranges], axis=1), message)


def points_of_range(message: Any) -> ReferencePoints:
    """Return points at the measured range, within the inner half of the cone of a range sensor."""
    if not message.min_range <= message.range <= message.max_range:
        return _reference(np.empty((0, 3)), message)
    tangents = np.tan(np.linspace(-0.25, 0.25, _RANGE_RAYS) * message.field_of_view)
    left, up = np.meshgrid(tangents, tangents)
    return _reference(message.range * np.stack([np.ones_like(left), left, up], axis=-1).reshape(-1, 3), message)


def points_of_depth(message: Any, info: Any) -> ReferencePoints:
    """Return the points of a depth image (32FC1 metres or 16UC1 millimetres).

    Raises:
        BadImage: another encoding, or less data than declared.
        BadCameraInfo: the calibration is unusable.
    """
    depth = depth_m(message)
    camera = rectified_camera(calibration(info), message.width, message.height)
    stride = max(int(np.sqrt(depth.size / _MAX_POINTS)), 1)
    z = depth[::stride, ::stride]
    x, y = pixel_slopes(camera, *(np.arange(0, side, stride) for side in depth.shape[::-1]))
    points = np.stack([x * z, y * z, z], axis=-1)
    return _reference(points[z > 0].reshape(-1, 3), message)


def down_of_imu(message: Any) -> Float32Array:
    """Return the unit vector pointing down, in the frame of the IMU; an IMU at rest measures the opposite of gravity.

    Raises:
        BadInput: the acceleration differs too much from standard gravity.
    """
    measured = message.linear_acceleration
    up = np.array([measured.x, measured.y, measured.z], np.float32)
    size = float(np.linalg.norm(up))
    if not abs(size - _STANDARD_GRAVITY) < _MAX_DEVIATION:
        raise BadInput(
            f'the IMU measures {size:.1f} m/s²; expected about {_STANDARD_GRAVITY}. Check that gravity is included'
        )
    return np.asarray(-up / np.float32(size))


def _reference(points_m: AnyArray, message: Any) -> ReferencePoints:
    head = message.header
    return ReferencePoints(points_m.astype(np.float32), stamp_ns(head.stamp), str(head.frame_id))
