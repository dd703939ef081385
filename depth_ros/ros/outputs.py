"""Depth maps → the topics that have subscribers."""

import array
import math
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from depth_ros.geometry import Band, Mount
from depth_ros.pipeline import cloud, cropped_for_cloud
from depth_ros.ros.diagnostics import scale_message
from depth_ros.ros.qos_overrides import check_qos_overrides
from depth_ros.ros.ros_messages import to_ros
from depth_ros.scale.scale_tracker import ScaleStatus
from depth_ros.settings.common_settings import Settings
from depth_ros.stages.colorize import Colormap, colorize, colorize_nearness
from depth_ros.stages.depth_encoding import COMPRESSED_DEPTH_FORMAT, compressed_depth, encoded
from depth_ros.stages.navigation import clearing_points, scan
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.stages.project import project
from depth_ros.types import DepthMap, Float64Array, RelativeMap

_QUEUE = 2
TOPICS: dict[str, type] = {
    'depth/image_rect': Image,
    'depth/image_rect/compressedDepth': CompressedImage,
    'depth/camera_info': CameraInfo,
    'points': PointCloud2,
    'points_clear': PointCloud2,
    'scan': LaserScan,
    'disparity': DisparityImage,
    'confidence': Image,
    'depth/color': Image,
    'depth/relative': Image,
    'scale': DiagnosticArray,
    'keyframes': PoseArray,
}
_COLORMAPS: dict[str, Colormap] = {'turbo': 'turbo', 'viridis': 'viridis', 'grayscale': 'grayscale'}


class Outputs:
    """Publishes depth on all topics that have a subscriber; reliable unless ``qos_overrides`` sets best effort.

    Args:
        node: The node that publishes.
        excluded: Topics that the node does not publish.

    Raises:
        BadSettings: a ``qos_overrides`` parameter has an invalid value.
    """

    def __init__(self, node: Node, excluded: Collection[str]) -> None:
        self._node = node
        for topic in TOPICS.keys() - set(excluded):
            check_qos_overrides(node, topic, 'publisher')
        self._publishers: dict[str, Publisher] = {
            topic: node.create_publisher(
                kind,
                topic,
                QoSProfile(depth=_QUEUE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for topic, kind in TOPICS.items()
            if topic not in excluded
        }
        self._clouds = CloudMessages()
        self._last_sent_s: dict[str, float] = {}

    def has_subscribers(self, topics: Collection[str] = ()) -> bool:
        """Return whether any of the topics has a subscriber; without an argument, any topic at all."""
        return any(self._publishers[topic].get_subscription_count() > 0 for topic in topics or self._publishers)

    def publish(self, depth: DepthMap, settings: Settings, rays: PixelRays) -> None:
        """Publish one depth map.

        Args:
            depth: The depth map.
            settings: Encodings, rates and limits.
            rays: Pixel rays of the camera, kept between frames.
        """
        head = to_ros.header(depth.stamp_ns, depth.frame_id)
        # The small camera_info goes first, so that subscribers of both have it when the image arrives.
        camera = depth.camera
        if camera is not None:
            self._send('depth/camera_info', lambda: to_ros.camera_info(camera, head))
        encoding = settings.depth_encoding
        self._send('depth/image_rect', lambda: to_ros.image(encoded(depth.depth_m, encoding), encoding, head))
        self._send(
            'depth/image_rect/compressedDepth',
            lambda: to_ros.compressed_image(compressed_depth(depth.depth_m), COMPRESSED_DEPTH_FORMAT, head),
        )
        if camera is not None:
            self._send('points', lambda: self._cloud(depth, settings, rays, head), settings.cloud_rate_hz)
            if settings.camera_height_m:
                mount = settings.mount
                band = Band(settings.nav_obstacle_min_m, settings.nav_obstacle_max_m)
                self._send(
                    'points_clear',
                    lambda: _clearing_cloud(depth, mount, band, settings, rays, head),
                    settings.nav_rate_hz,
                )
                self._send('scan', lambda: _scan(depth, mount, band, settings, rays), settings.nav_rate_hz)
        disparity, confidence = depth.disparity, depth.confidence
        if disparity is not None:
            self._send('disparity', lambda: to_ros.disparity_image(disparity, head))
        if confidence is not None:
            self._send('confidence', lambda: to_ros.image(confidence, '32FC1', head))
        self._send(
            'depth/color',
            lambda: to_ros.image(colorize(depth.depth_m, _COLORMAPS[settings.colormap]), 'rgb8', head),
        )

    def missing_setting(self, settings: Settings) -> str:
        """Return which setting is missing for a topic that has subscribers; empty if none is."""
        for topic in ('points_clear', 'scan'):
            if not settings.camera_height_m and self._publishers[topic].get_subscription_count() > 0:
                return f'{topic} requires the height of the camera: set camera_height_m and camera_pitch_rad'
        return ''

    def publish_relative(self, relative: RelativeMap, settings: Settings) -> None:
        """Publish relative depth on depth/relative, and its nearness on depth/color."""
        head, nearness = to_ros.header(relative.stamp_ns, relative.frame_id), relative.nearness
        self._send('depth/relative', lambda: to_ros.image(relative.values, '32FC1', head))
        if nearness is not None:
            colormap = _COLORMAPS[settings.colormap]
            self._send('depth/color', lambda: to_ros.image(colorize_nearness(nearness, colormap), 'rgb8', head))

    def publish_scale(self, status: ScaleStatus, stamp_ns: int, frame_id: str) -> None:
        """Publish the state of the scale at one frame."""
        self._send('scale', lambda: scale_message(status, to_ros.header(stamp_ns, frame_id)))

    def publish_keyframes(self, poses: Sequence[Float64Array], stamp_ns: int, frame_id: str) -> None:
        """Publish the (4, 4) poses of keyframes in the optical frame of an image."""
        self._send('keyframes', lambda: to_ros.pose_array(poses, to_ros.header(stamp_ns, frame_id)))

    def close(self) -> None:
        """Destroy all publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def _send(self, topic: str, make: Any, rate_hz: float = 0.0) -> None:
        publisher = self._publishers[topic]
        if publisher.get_subscription_count() > 0 and self._is_due(topic, rate_hz):
            publisher.publish(make())

    def _is_due(self, topic: str, rate_hz: float) -> bool:
        now_s = time.monotonic()
        # Tolerates 10 % of the period, because frames arrive with jitter.
        if rate_hz and now_s - self._last_sent_s.get(topic, -1.0) < 0.9 / rate_hz:
            return False
        self._last_sent_s[topic] = now_s
        return True

    def _cloud(self, depth: DepthMap, settings: Settings, rays: PixelRays, head: Header) -> PointCloud2:
        if not settings.cloud_organized:
            return to_ros.point_cloud(cloud(depth, settings, rays), head)
        colored = settings.cloud_fields == 'xyzrgb'
        return self._clouds.message(cropped_for_cloud(depth, settings), colored, settings.cloud_stride, head, rays)


def _clearing_cloud(
    depth: DepthMap, mount: Mount, band: Band, settings: Settings, rays: PixelRays, head: Header
) -> PointCloud2:
    points = clearing_points(depth, mount, band, settings.nav_clear_range_m, settings.nav_clear_spacing_m, rays)
    return to_ros.point_cloud(points, head)


def _scan(depth: DepthMap, mount: Mount, band: Band, settings: Settings, rays: PixelRays) -> LaserScan:
    frame_id = settings.nav_scan_frame or depth.frame_id.replace('_optical', '')
    head = to_ros.header(depth.stamp_ns, frame_id)
    return to_ros.laser_scan(scan(depth, mount, band, rays), settings.range_min_m, settings.range_max_m, head)


class CloudMessages:
    """Makes messages of organized clouds in reused memory; each message is valid until the next one is made.

    This is safe because publishing copies the message. Allocating 15 MB takes longer than filling it.
    """

    def __init__(self) -> None:
        self._memory = array.array('B')

    def message(
        self, depth: DepthMap, colored: bool, stride: int, head: Header, rays: PixelRays | None = None
    ) -> PointCloud2:
        """Back-project a depth map into a message."""
        rows, columns = (-(-side // stride) for side in depth.depth_m.shape)
        shape = (rows, columns, 4 if colored else 3)
        if len(self._memory) != 4 * math.prod(shape):
            self._memory = array.array('B', bytes(4 * math.prod(shape)))
        points = np.frombuffer(self._memory, np.float32).reshape(shape)
        project(depth, colored, True, stride, points, rays)
        dense = bool(np.isfinite(depth.depth_m[::stride, ::stride]).all())
        return to_ros.point_cloud_of(self._memory, shape, head, dense)
