"""Poses of sensors from tf2, if it is installed (it is not available from PyPI)."""

from rclpy.node import Node
from rclpy.time import Time

from depth_ros.geometry import pose_matrix
from depth_ros.scale.sensor_pose import Transform
from depth_ros.types import Float32Array


def transforms_by_tf(node: Node) -> Transform:
    """Return a function that looks up transforms, at the stamp or else the latest; without tf2_ros it returns None."""
    try:
        import tf2_ros
    except ImportError:
        return lambda target, source, stamp_ns: None
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node)

    def lookup(target: str, source: str, stamp_ns: int) -> Float32Array | None:
        assert listener is not None  # it fills the buffer as long as it is referenced
        for time in (Time(nanoseconds=stamp_ns), Time()):
            try:
                transform = buffer.lookup_transform(target, source, time).transform
            except tf2_ros.TransformException:
                continue
            t, q = transform.translation, transform.rotation
            return pose_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        return None

    return lookup
