"""Poses of sensors and of the camera from tf2, if it is installed (it is not available from PyPI)."""

from collections.abc import Callable

from rclpy.node import Node
from rclpy.time import Time

from depth_ros.geometry import Quaternion, Translation, pose_matrix, precise_pose_matrix
from depth_ros.messages.camera_poses import PoseLookup
from depth_ros.scale.sensor_pose import Transform
from depth_ros.types import Float32Array, Float64Array

_Lookup = Callable[[str, str, Time], tuple[Translation, Quaternion] | None]


def transforms_by_tf(node: Node) -> Transform:
    """Return a function that looks up transforms, at the stamp or else the latest; without tf2_ros it returns None."""
    lookup = _lookup(node)

    def pose(target: str, source: str, stamp_ns: int) -> Float32Array | None:
        found = lookup(target, source, Time(nanoseconds=stamp_ns)) or lookup(target, source, Time())
        return pose_matrix(*found) if found is not None else None

    return pose


def poses_by_tf(node: Node) -> PoseLookup:
    """Return a function that looks up transforms at the stamp only; without tf2_ros it returns None."""
    lookup = _lookup(node)

    def pose(target: str, source: str, stamp_ns: int) -> Float64Array | None:
        found = lookup(target, source, Time(nanoseconds=stamp_ns))
        return precise_pose_matrix(*found) if found is not None else None

    return pose


def _lookup(node: Node) -> _Lookup:
    try:
        import tf2_ros
    except ImportError:
        return lambda target, source, time: None
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node)

    def lookup(target: str, source: str, time: Time) -> tuple[Translation, Quaternion] | None:
        assert listener is not None  # it fills the buffer as long as it is referenced
        try:
            transform = buffer.lookup_transform(target, source, time).transform
        except tf2_ros.TransformException:
            return None
        t, q = transform.translation, transform.rotation
        return (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)

    return lookup
