"""A depth map → the topics that somebody listens to."""

import array
import math
import time
from collections.abc import Collection
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from depth_ros.ros import messages
from depth_ros.ros.health import scale_message
from depth_ros.scale.tracker import ScaleStatus
from depth_ros.settings import Settings
from depth_ros.stages.colorize import Colormap, colorize
from depth_ros.stages.millimetres import to_millimetres
from depth_ros.stages.project import project
from depth_ros.types import DepthMap, RelativeMap

_QUEUE = 2
TOPICS: dict[str, type] = {
    'depth/image_rect': Image,
    'depth/camera_info': CameraInfo,
    'points': PointCloud2,
    'disparity': DisparityImage,
    'confidence': Image,
    'depth/color': Image,
    'depth/relative': Image,
    'scale': DiagnosticArray,
}
_COLORMAPS: dict[str, Colormap] = {'turbo': 'turbo', 'viridis': 'viridis', 'grayscale': 'grayscale'}


class Outputs:
    """Publishes depth in all the forms that have a subscriber; reliable unless ``qos_overrides`` says otherwise.

    Args:
        node: The node that publishes.
        without: Topics that it never has.
    """

    def __init__(self, node: Node, without: Collection[str]) -> None:
        self._node = node
        self._publishers: dict[str, Publisher] = {
            topic: node.create_publisher(
                kind,
                topic,
                QoSProfile(depth=_QUEUE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for topic, kind in TOPICS.items()
            if topic not in without
        }
        self._clouds = CloudMessages()
        self._last_cloud_s = -1.0

    def wanted(self) -> bool:
        """Tell whether anybody listens to anything."""
        return any(publisher.get_subscription_count() > 0 for publisher in self._publishers.values())

    def publish(self, depth: DepthMap, settings: Settings) -> None:
        """Publish one depth map."""
        head = messages.header(depth.stamp_ns, depth.frame_id)
        # Small and first, so that who waits for both has the camera_info when the image comes.
        camera = depth.camera
        if camera is not None:
            self._send('depth/camera_info', lambda: messages.camera_info(camera, head))
        self._send('depth/image_rect', lambda: _depth_image(depth, settings, head))
        if camera is not None and self._cloud_is_due(settings.cloud_rate_hz):
            self._send('points', lambda: self._cloud(depth, settings, head))
        disparity, confidence = depth.disparity, depth.confidence
        if disparity is not None:
            self._send('disparity', lambda: messages.disparity_image(disparity, head))
        if confidence is not None:
            self._send('confidence', lambda: messages.image(confidence, '32FC1', head))
        self._send(
            'depth/color',
            lambda: messages.image(colorize(depth.depth_m, _COLORMAPS[settings.colormap]), 'rgb8', head),
        )

    def publish_relative(self, relative: RelativeMap) -> None:
        """Publish depth that is not metres, on the topic that promises none."""
        head = messages.header(relative.stamp_ns, relative.frame_id)
        self._send('depth/relative', lambda: messages.image(relative.values, '32FC1', head))

    def publish_scale(self, status: ScaleStatus, stamp_ns: int, frame_id: str) -> None:
        """Publish what is known about the scale of a frame."""
        self._send('scale', lambda: scale_message(status, messages.header(stamp_ns, frame_id)))

    def close(self) -> None:
        """Withdraw all topics."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def _send(self, topic: str, make: Any) -> None:
        publisher = self._publishers[topic]
        if publisher.get_subscription_count() > 0:
            publisher.publish(make())

    def _cloud(self, depth: DepthMap, settings: Settings, head: Header) -> PointCloud2:
        colored = settings.cloud_fields == 'xyzrgb'
        return self._clouds.message(depth, colored, settings.cloud_organized, settings.cloud_stride, head)

    def _cloud_is_due(self, rate_hz: float) -> bool:
        if self._publishers['points'].get_subscription_count() == 0:
            return False
        now = time.monotonic()
        # A tenth of a period early is on time: frames do not come on the dot.
        if rate_hz and now - self._last_cloud_s < 0.9 / rate_hz:
            return False
        self._last_cloud_s = now
        return True


def _depth_image(depth: DepthMap, settings: Settings, head: Header) -> Image:
    if settings.depth_encoding == '16UC1':
        return messages.image(to_millimetres(depth.depth_m), '16UC1', head)
    return messages.image(depth.depth_m, '32FC1', head)


class CloudMessages:
    """Makes cloud messages in memory that is used again: a message is valid until the next one is made.

    Publishing copies a message, so nothing else need keep it. Fresh memory for 15 MB costs more than filling it.
    """

    def __init__(self) -> None:
        self._memory = array.array('B')

    def message(self, depth: DepthMap, colored: bool, organized: bool, stride: int, head: Header) -> PointCloud2:
        """Back-project a depth map into a message."""
        if not organized:
            return messages.point_cloud(project(depth, colored, organized, stride), head)
        rows, columns = (-(-side // stride) for side in depth.depth_m.shape)
        shape = (rows, columns, 4 if colored else 3)
        if len(self._memory) != 4 * math.prod(shape):
            self._memory = array.array('B', bytes(4 * math.prod(shape)))
        project(depth, colored, organized, stride, np.frombuffer(self._memory, np.float32).reshape(shape))
        return messages.point_cloud_around(self._memory, shape, head)
