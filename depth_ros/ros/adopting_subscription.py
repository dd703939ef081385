"""A subscription whose reliability follows the publishers."""

import inspect
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
_REPORTS_MATCHES = 'matched' in inspect.signature(SubscriptionEventCallbacks).parameters
"""Whether rclpy calls back when a publisher appears or disappears; rclpy of Humble does not."""


class AdoptingSubscription:
    """Subscribes reliably if every publisher is reliable, otherwise with best effort; follows changes of publishers.

    The middleware reports changes of publishers; ``refresh`` finds those that it does not report.
    ``qos_overrides`` parameters take precedence.

    Args:
        node: The node that subscribes.
        message_type: Message type of the topic.
        topic: Topic name before namespace and remapping.
        callback: Called with every message.
        raw: Pass serialized bytes to the callback.
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
        """QoS policy that is incompatible with a publisher, as reported by the middleware."""
        self.last_message_s = time.monotonic()
        """Monotonic time of the last message, or of the subscription if no message was received."""
        self._received = self._reported = self._closed = False
        self._override = self._declare_override()
        self._open()

    @property
    def topic(self) -> str:
        """Topic name after namespace and remapping."""
        return str(self._node.resolve_topic_name(self._topic))

    @property
    def publishers(self) -> int:
        """Number of publishers in the graph."""
        return int(self._node.count_publishers(self.topic))

    def report_unpublished(self) -> str | None:
        """Return a warning, once, if the topic has had no publisher for some seconds; it names a similar topic.

        None if there is nothing to report.
        """
        silent_s = time.monotonic() - self.last_message_s
        if self._received or self._reported or silent_s < _UNPUBLISHED_S or self.publishers:
            return None
        self._reported = True
        kind = f'{self._type.__module__.split(".")[0]}/msg/{self._type.__name__}'
        similar = similar_topic(self._topic, self.topic, self._published_by_others(kind))
        if similar is None:
            remedy = f'and no other topic has the type {kind}. Start the driver, or check ROS_DOMAIN_ID'
        else:
            remedy = f'but {similar} has the same type: {remap_to(self._topic, similar)}'
        return f'no publisher on {self.topic} for {silent_s:.0f} s, {remedy}'

    def _published_by_others(self, kind: str) -> list[str]:
        """Return the topics of a type that are published by other nodes."""
        own = (self._node.get_name(), self._node.get_namespace())
        return [
            name
            for name, kinds in self._node.get_topic_names_and_types()
            if kind in kinds
            and any(
                (publisher.node_name, publisher.node_namespace) != own
                for publisher in self._node.get_publishers_info_by_topic(name)
            )
        ]

    def refresh(self) -> None:
        """Subscribe again if the publishers require another reliability."""
        if not self._closed and self._matching_reliability() != self._reliability:
            self._node.destroy_subscription(self._subscription)
            self._open()

    def close(self) -> None:
        """Unsubscribe."""
        self._closed = True
        self._node.destroy_subscription(self._subscription)

    def _open(self) -> None:
        self._reliability = self._matching_reliability()
        self._subscription = self._node.create_subscription(
            self._type,
            self._topic,
            self._receive,
            QoSProfile(depth=_DEPTH, reliability=self._reliability),
            qos_overriding_options=QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible,
                **({'matched': self._refresh_soon} if _REPORTS_MATCHES else {}),
            ),
            raw=self._raw,
        )
        self.incompatible = None

    def _declare_override(self) -> str:
        """Return the reliability set by a ``qos_overrides`` parameter, or 'best_available'.

        The overriding of rclpy is not used for the reliability: it would declare the reliability of the first
        subscription as the value of the parameter, so that a later subscription could not use another one.
        """
        check_qos_overrides(self._node, self._topic, 'subscription')
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, 'best_available', ParameterDescriptor(read_only=True))
        return str(self._node.get_parameter(name).value)

    def _matching_reliability(self) -> QoSReliabilityPolicy:
        """Return the reliability that is compatible with all publishers; best effort if there are none."""
        if self._override != 'best_available':
            return QoSReliabilityPolicy[self._override.upper()]
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        reliable = [each.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE for each in publishers]
        return QoSReliabilityPolicy.RELIABLE if reliable and all(reliable) else QoSReliabilityPolicy.BEST_EFFORT

    def _receive(self, message: Any) -> None:
        self.last_message_s = time.monotonic()
        self._received = True
        self._callback(message)

    def _on_incompatible(self, event: Any) -> None:
        self.incompatible = QoSPolicyKind(event.last_policy_kind).name.lower()
        self._refresh_soon(event)

    def _refresh_soon(self, _: Any) -> None:
        """Refresh after the callback of this event, which belongs to the subscription that may be destroyed."""
        if self._node.executor is not None:
            self._node.executor.create_task(self.refresh)
