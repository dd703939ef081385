"""A subscription that takes what the publishers offer."""

import time
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from depth_ros.messages.similar_topic import remap_to, similar_topic
from depth_ros.ros.qos_overrides import check_qos_overrides

_DEPTH = 5
_UNPUBLISHED_S = 5.0


class AdoptingSubscription:
    """Subscribes reliably when every publisher is reliable, else best effort, and follows when publishers change.

    ``qos_overrides`` parameters have the last word.

    Args:
        node: Subscribes.
        message_type: Of the topic.
        topic: Before namespace and remapping.
        callback: Told of every message.
        raw: Hand over serialized bytes.
    """

    def __init__(
        self, node: Node, message_type: type, topic: str, callback: Callable[[Any], None], raw: bool = False
    ) -> None:
        self._raw = raw
        self._node = node
        self._type = message_type
        self._topic = topic
        self._callback = callback
        self.incompatible: str | None = None
        """The policy that keeps a publisher from reaching us, once the middleware has said so."""
        self.last_message_s = time.monotonic()
        """When the last message came (or the subscription was made), monotonic seconds."""
        self._received = self._reported = False
        self._override = self._declare_override()
        self._open()

    @property
    def topic(self) -> str:
        """Name after namespace and remapping."""
        return str(self._node.resolve_topic_name(self._topic))

    @property
    def publishers(self) -> int:
        """How many publishers the graph shows."""
        return int(self._node.count_publishers(self.topic))

    def report_unpublished(self) -> str | None:
        """Say, once, that nobody publishes the topic for which no message has arrived, and which one may be meant."""
        silent_s = time.monotonic() - self.last_message_s
        if self._received or self._reported or silent_s < _UNPUBLISHED_S or self.publishers:
            return None
        self._reported = True
        kind = f'{self._type.__module__.split(".")[0]}/msg/{self._type.__name__}'
        near = similar_topic(self._topic, self.topic, self._published_by_others(kind))
        if near is None:
            remedy = f'and no other {kind} either. Start the driver, or check ROS_DOMAIN_ID'
        else:
            remedy = f'but {near} has the same type: {remap_to(self._topic, near)}'
        return f'nobody has published {self.topic} for {silent_s:.0f} s, {remedy}'

    def _published_by_others(self, kind: str) -> list[str]:
        """Return the topics of a type that other nodes publish."""
        own = (self._node.get_name(), self._node.get_namespace())
        return [
            name
            for name, kinds in self._node.get_topic_names_and_types()
            if kind in kinds
            and any(
                (offer.node_name, offer.node_namespace) != own
                for offer in self._node.get_publishers_info_by_topic(name)
            )
        ]

    def refresh(self) -> None:
        """Subscribe anew if the publishers now offer something else."""
        if self._wanted() != self._reliability:
            self.close()
            self._open()

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _open(self) -> None:
        self._reliability = self._wanted()
        self._subscription = self._node.create_subscription(
            self._type,
            self._topic,
            self._receive,
            QoSProfile(depth=_DEPTH, reliability=self._reliability),
            qos_overriding_options=QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible),
            raw=self._raw,
        )
        self.incompatible = None

    def _declare_override(self) -> str:
        """Return the reliability that a ``qos_overrides`` parameter fixes, or 'best_available'.

        rclpy's own overriding would take the reliability of the first subscription for a user's choice.
        """
        check_qos_overrides(self._node, self._topic, 'subscription')
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, 'best_available', ParameterDescriptor(read_only=True))
        return str(self._node.get_parameter(name).value)

    def _wanted(self) -> QoSReliabilityPolicy:
        """Return the reliability that reaches every publisher there is; without any, the one that reaches all."""
        if self._override != 'best_available':
            return QoSReliabilityPolicy[self._override.upper()]
        offers = self._node.get_publishers_info_by_topic(self.topic)
        reliable = [offer.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE for offer in offers]
        return QoSReliabilityPolicy.RELIABLE if reliable and all(reliable) else QoSReliabilityPolicy.BEST_EFFORT

    def _receive(self, message: Any) -> None:
        self.last_message_s = time.monotonic()
        self._received = True
        self._callback(message)

    def _on_incompatible(self, event: Any) -> None:
        self.incompatible = QoSPolicyKind(event.last_policy_kind).name.lower()


class SubscribedInput:
    """Subscriptions by what they are for, followed and closed together."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, AdoptingSubscription] = {}

    def refresh(self) -> None:
        """Follow publishers that came or went."""
        for subscription in self.subscriptions.values():
            subscription.refresh()

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self.subscriptions.values():
            subscription.close()
