"""rclpy messages from plain values: ``to_ros.image(pixels, 'rgb8', to_ros.header(stamp_ns, frame_id))``.

Setting a ``uint8[]`` field is only fast with an ``array.array('B')``; all other sequences are checked byte by byte
(rclpy#763). The generated constructor and setter each copy even an array; therefore it is assigned to the private
attribute of the field.
"""

import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2, PointField, RegionOfInterest
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from depth_ros.messages.message_builder import MessageBuilder
from depth_ros.messages.read_messages import point_fields
from depth_ros.types import AnyArray

try:
    from sensor_msgs_py.point_cloud2 import read_points as read_points
except ImportError:  # part of a ROS installation, not available from PyPI
    read_points = point_fields

_TYPES = {
    'builtin_interfaces/msg/Time': Time,
    'std_msgs/msg/Header': Header,
    'geometry_msgs/msg/Point': Point,
    'geometry_msgs/msg/Pose': Pose,
    'geometry_msgs/msg/PoseArray': PoseArray,
    'geometry_msgs/msg/Quaternion': Quaternion,
    'sensor_msgs/msg/CameraInfo': CameraInfo,
    'sensor_msgs/msg/CompressedImage': CompressedImage,
    'sensor_msgs/msg/Image': Image,
    'sensor_msgs/msg/LaserScan': LaserScan,
    'sensor_msgs/msg/PointCloud2': PointCloud2,
    'sensor_msgs/msg/PointField': PointField,
    'sensor_msgs/msg/RegionOfInterest': RegionOfInterest,
    'stereo_msgs/msg/DisparityImage': DisparityImage,
}


def _make(kind: str, data: 'AnyArray | array.array[int] | None' = None, **values: Any) -> Any:
    floats = {name: _floats(value) for name, value in values.items() if isinstance(value, np.ndarray)}
    message = _TYPES[kind](**values | floats)
    if data is not None:
        message._data = data if isinstance(data, array.array) else _bytes(data)
    return message


def _bytes(values: AnyArray) -> 'array.array[int]':
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    return data


def _floats(values: AnyArray) -> 'array.array[float]':
    return array.array('f', values.tobytes())


to_ros = MessageBuilder(_make)
