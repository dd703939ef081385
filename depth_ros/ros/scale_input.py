"""Topics of the sensors that give a scale → the scaler."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, Imu, LaserScan, PointCloud2, Range

from depth_ros.errors import BadInput
from depth_ros.ros import reference_messages as convert
from depth_ros.ros.subscription import AdoptingSubscription, SubscribedInput
from depth_ros.scale.scaler import Scaler
from depth_ros.settings import MonoSettings

_TYPES: dict[str, type] = {'points': PointCloud2, 'scan': LaserScan, 'range': Range, 'depth': Image}


class ScaleInput(SubscribedInput):
    """Subscribes to what ``scale.source`` needs: ``scale/reference`` (and ``scale/camera_info``), or ``imu``.

    Args:
        node: Subscribes.
        settings: Say what to subscribe to.
        scaler: Gets what comes.
        complain: Told of a message that is of no use, by kind and text.
    """

    def __init__(
        self, node: Node, settings: MonoSettings, scaler: Scaler, complain: Callable[[str, str], None]
    ) -> None:
        super().__init__()
        self._scaler = scaler
        self._complain = complain
        self._info: CameraInfo | None = None
        kind = settings.scale_reference_type
        if settings.scale_source == 'reference':
            self._subscribe(node, 'scale reference', _TYPES[kind], 'scale/reference', self._reference_taker(kind))
            if kind == 'depth':
                self._subscribe(node, 'scale camera_info', CameraInfo, 'scale/camera_info', self._on_info)
        if settings.scale_source == 'ground' and settings.scale_imu:
            self._subscribe(node, 'imu', Imu, 'imu', self._on_imu)

    def _subscribe(self, node: Node, role: str, kind: type, topic: str, take: Callable[[Any], None]) -> None:
        def safely(message: Any) -> None:
            try:
                take(message)
            except BadInput as error:
                self._complain('scale', str(error))

        self.subscriptions[role] = AdoptingSubscription(node, kind, topic, safely)

    def _reference_taker(self, kind: str) -> Callable[[Any], None]:
        if kind == 'depth':
            return self._on_depth
        points = {'points': convert.points_of_cloud, 'scan': convert.points_of_scan, 'range': convert.points_of_range}
        return lambda message: self._scaler.add_reference(points[kind](message))

    def _on_depth(self, message: Image) -> None:
        if self._info is None:
            raise BadInput('no scale/camera_info has come, so the reference depth image has no points: publish it')
        self._scaler.add_reference(convert.points_of_depth(message, self._info))

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_imu(self, message: Imu) -> None:
        self._scaler.set_down(convert.down_of_imu(message), message.header.frame_id)
