"""Topics of the sensors that provide the scale → the scaler."""

from collections.abc import Callable
from typing import Any

import nav_msgs.msg
import sensor_msgs.msg
from rclpy.node import Node

from depth_ros.errors import BadInput
from depth_ros.messages.scale_sensors import SensorTopic, sensor_topics
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.node_input import SubscribedInput
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings


class ScaleInput(SubscribedInput):
    """Subscribes to the topics that ``scale.source`` requires.

    Args:
        node: The node that subscribes.
        settings: Settings with the source of the scale.
        scaler: Receives the measurements.
        report: Called with kind and text of a problem if a message is unusable.
    """

    def __init__(self, node: Node, settings: MonoSettings, scaler: Scaler, report: Callable[[str, str], None]) -> None:
        super().__init__()
        self._report = report
        for sensor in sensor_topics(settings, scaler):
            package = nav_msgs if sensor.package == 'nav_msgs' else sensor_msgs
            kind = getattr(package.msg, sensor.kind)
            self.subscriptions[sensor.role] = AdoptingSubscription(node, kind, sensor.topic, self._callback(sensor))

    def _callback(self, sensor: SensorTopic) -> Callable[[Any], None]:
        def on_message(message: Any) -> None:
            try:
                sensor.take(message)
            except BadInput as error:
                self._report('scale', str(error))

        return on_message
