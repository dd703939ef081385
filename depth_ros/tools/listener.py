"""A subscriber that counts messages and measures their age, as a user of the depth node would receive them."""

import time
from collections import OrderedDict
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

from depth_ros.messages import read_messages
from depth_ros.messages.read_messages import depth_m
from depth_ros.types import Float32Array

_MAX_RECENT = 50


class Listener(Node):
    """Subscribes to depth, points and diagnostics of one depth node and to the exact depth of a simulator."""

    def __init__(self, best_effort: bool = False, **node_options: Any) -> None:
        super().__init__('listener', **node_options)
        self.depth_received = 0
        self.points_received = 0
        self.age_ms: list[float] = []
        self.first_depth_s: float | None = None
        """Monotonic time at which the first depth image was received."""
        self.depth: Image | None = None
        self.points: PointCloud2 | None = None
        self._recent: OrderedDict[int, Image] = OrderedDict()
        self._truth: OrderedDict[int, Image] = OrderedDict()
        self.diagnostics: dict[str, str] = {}
        self.status = ''
        """Newest diagnostic message of the node."""
        reliability = QoSReliabilityPolicy.BEST_EFFORT if best_effort else QoSReliabilityPolicy.RELIABLE
        qos = QoSProfile(depth=5, reliability=reliability)
        self.create_subscription(Image, 'depth/image_rect', self._on_depth, qos)
        self.create_subscription(PointCloud2, 'points', self._on_points, qos)
        self.create_subscription(Image, 'truth/depth', self._on_truth, 10)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def age_percentiles(self, skip: int = 0) -> dict[str, float | None]:
        """Return p50, p95 and p99 of the age of depth images at reception, milliseconds, without the first ``skip``."""
        names, age_ms = ('p50', 'p95', 'p99'), self.age_ms[skip:]
        if not age_ms:
            return dict.fromkeys(names)
        return {n: round(float(np.percentile(age_ms, int(n[1:]))), 1) for n in names}

    def dropped(self) -> dict[str, int]:
        """Return the number of frames dropped by the node, by reason."""
        prefix = 'dropped.'
        return {k.removeprefix(prefix): int(v) for k, v in self.diagnostics.items() if k.startswith(prefix)}

    def depth_m(self) -> Float32Array | None:
        """Return the newest depth image as (H, W) metres."""
        return None if self.depth is None else depth_m(self.depth)

    def depth_with_truth(self) -> list[tuple[Float32Array, Float32Array]]:
        """Return pairs of recent depth images and exact depth of the same stamp."""
        both = [stamp for stamp in self._recent if stamp in self._truth]
        return [(depth_m(self._recent[stamp]), depth_m(self._truth[stamp])) for stamp in both]

    def _on_depth(self, message: Image) -> None:
        if self.first_depth_s is None:
            self.first_depth_s = time.monotonic()
        now_ns = self.get_clock().now().nanoseconds
        self.age_ms.append((now_ns - read_messages.stamp_ns(message.header.stamp)) / 1e6)
        self.depth_received += 1
        self.depth = message
        _store(self._recent, message)

    def _on_truth(self, message: Image) -> None:
        _store(self._truth, message)

    def _on_points(self, message: PointCloud2) -> None:
        self.points_received += 1
        self.points = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.hardware_id.endswith('_depth'):
                self.diagnostics = {pair.key: pair.value for pair in status.values}
                self.status = status.message


def _store(recent: 'OrderedDict[int, Image]', message: Image) -> None:
    recent[read_messages.stamp_ns(message.header.stamp)] = message
    if len(recent) > _MAX_RECENT:
        recent.popitem(last=False)
