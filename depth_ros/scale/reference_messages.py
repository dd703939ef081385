"""Messages of metric sensors → points in their own frames; of rclpy or of the library rosbags."""

from typing import Any

import numpy as np

from depth_ros.errors import BadInput
from depth_ros.files.ros_fields import calibration, depth_m, point_fields, stamp_ns
from depth_ros.scale.reference import ReferencePoints
from depth_ros.stages.calibration import rectified_camera
from depth_ros.types import AnyArray, Float32Array

_MOST_POINTS = 20_000
"""More say nothing new about a scale."""
_RANGE_RAYS = 5
_STANDARD_GRAVITY, _LARGEST_EXTRA = 9.81, 1.5


def points_of_cloud(message: Any) -> ReferencePoints:
    """Return the points of a cloud.

    Raises:
        BadInput: it has no x, y, z of floating point, or less data than it says.
    """
    points = point_fields(message, 'xyz')
    some = points[:: max(points.size // _MOST_POINTS, 1)]
    return _reference(np.stack([some[name] for name in 'xyz'], axis=1), message)


def points_of_scan(message: Any) -> ReferencePoints:
    """Return the hits of a laser scan, in its x-y plane."""
    ranges = np.asarray(message.ranges, np.float32)
    angles = message.angle_min + message.angle_increment * np.arange(len(ranges))
    hit = (ranges >= message.range_min) & (ranges <= message.range_max)
    ranges, angles = ranges[hit], angles[hit]
    return _reference(np.stack([ranges * np.cos(angles), ranges * np.sin(angles), 0 * ranges], axis=1), message)


def points_of_range(message: Any) -> ReferencePoints:
    """Return rays of a range sensor's cone, about its middle, all of the one range."""
    if not message.min_range <= message.range <= message.max_range:
        return _reference(np.empty((0, 3)), message)
    tangents = np.tan(np.linspace(-0.25, 0.25, _RANGE_RAYS) * message.field_of_view)
    left, up = np.meshgrid(tangents, tangents)
    return _reference(message.range * np.stack([np.ones_like(left), left, up], axis=-1).reshape(-1, 3), message)


def points_of_depth(message: Any, info: Any) -> ReferencePoints:
    """Return the points of a depth image (32FC1 metres or 16UC1 millimetres).

    Raises:
        BadImage: another encoding, or less data than it says.
        BadCameraInfo: its calibration is of no use.
    """
    depth = depth_m(message)
    camera = rectified_camera(calibration(info), message.width, message.height)
    stride = max(int(np.sqrt(depth.size / _MOST_POINTS)), 1)
    z = depth[::stride, ::stride]
    v, u = np.meshgrid(*(np.arange(0, side, stride) for side in depth.shape), indexing='ij')
    points = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=-1)
    return _reference(points[z > 0].reshape(-1, 3), message)


def down_of_imu(message: Any) -> Float32Array:
    """Return the unit vector that points down, in the Imu's frame; a resting Imu measures the opposite of gravity.

    Raises:
        BadInput: it is accelerated by more than gravity, or measures nothing.
    """
    measured = message.linear_acceleration
    up = np.array([measured.x, measured.y, measured.z], np.float32)
    size = float(np.linalg.norm(up))
    if not abs(size - _STANDARD_GRAVITY) < _LARGEST_EXTRA:
        raise BadInput(
            f'the Imu measures {size:.1f} m/s²; expected about {_STANDARD_GRAVITY}. Does it include gravity?'
        )
    return np.asarray(-up / np.float32(size))


def _reference(points_m: AnyArray, message: Any) -> ReferencePoints:
    head = message.header
    return ReferencePoints(points_m.astype(np.float32), stamp_ns(head.stamp), str(head.frame_id))
