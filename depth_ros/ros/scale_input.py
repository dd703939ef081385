"""Topics of the sensors that give a scale → the scaler."""

from collections.abc import Callable
from typing import Any

import sensor_msgs.msg
from rclpy.node import Node

from depth_ros.errors import BadInput
from depth_ros.messages.scale_sensors import SensorTopic, sensor_topics
from depth_ros.ros.adopting_subscription import AdoptingSubscription, SubscribedInput
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings


class ScaleInput(SubscribedInput):
    """Subscribes to what ``scale.source`` needs.

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
        self._complain = complain
        for sensor in sensor_topics(settings, scaler):
            kind = getattr(sensor_msgs.msg, sensor.kind)
            self.subscriptions[sensor.role] = AdoptingSubscription(node, kind, sensor.topic, self._taker(sensor))

    def _taker(self, sensor: SensorTopic) -> Callable[[Any], None]:
        def safely(message: Any) -> None:
            try:
                sensor.take(message)
            except BadInput as error:
                self._complain('scale', str(error))

        return safely
