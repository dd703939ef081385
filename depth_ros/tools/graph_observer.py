"""Observes the inputs of a node on the ROS graph for a few seconds, with the subscriptions of the node."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nav_msgs.msg
import rclpy
import sensor_msgs.msg
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSReliabilityPolicy

from depth_ros.doctor.machine_checks import needs_focal_length
from depth_ros.doctor.observations import Observations, ObservedTopic
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.messages.scale_sensors import sensor_topics
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.tf_transforms import transforms_by_tf
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MultiviewSettings, NodeSettings, StereoSettings

_DISCOVERY_S = 3.0
"""Maximum time to wait for the first message of every topic before the observation starts."""


def observe(
    settings: NodeSettings,
    seconds: float,
    namespace: str = '',
    remaps: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
) -> Observations:
    """Observe the ROS graph and return the observations.

    Args:
        settings: Settings of the node.
        seconds: Duration of the observation, which starts when a message of every topic is received, after at most
            three seconds.
        namespace: Namespace of the node.
        remaps: ``from:=to``, as after ``--ros-args -r``.
        parameters: ``use_sim_time`` and ``qos_overrides…`` of the node.

    Raises:
        BadSettings: a ``qos_overrides`` parameter is invalid.
    """
    context = rclpy.Context()
    rclpy.init(context=context, args=[])
    arguments = [argument for remap in remaps for argument in ('-r', remap)]
    node = rclpy.create_node(
        'depth_doctor',
        context=context,
        namespace=namespace,
        cli_args=['--ros-args', *arguments] if arguments else None,
        parameter_overrides=[Parameter(name, value=value) for name, value in (parameters or {}).items()],
        automatically_declare_parameters_from_overrides=False,
        enable_rosout=False,
        start_parameter_services=False,
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        return _Observer(node, settings).observe(executor, seconds)
    finally:
        executor.shutdown(timeout_sec=1)
        node.destroy_node()
        context.try_shutdown()


class _Observer:
    def __init__(self, node: Node, settings: NodeSettings) -> None:
        self._node, self._settings = node, settings
        self._transform = (
            transforms_by_tf(node) if isinstance(settings, MultiviewSettings) else lambda target, source, stamp_ns: None
        )
        self._subscriptions: list[tuple[AdoptingSubscription, ObservedTopic]] = []
        self._diagnostics: dict[str, tuple[int, str]] = {}
        for role, argument, kind, required in _inputs(settings):
            self._subscribe(role, argument, kind, required)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def observe(self, executor: SingleThreadedExecutor, seconds: float) -> Observations:
        """Collect messages, then query publishers, types and node names."""
        self._spin(executor, _DISCOVERY_S, lambda: all(topic.arrived_s for _, topic in self._subscriptions))
        self._spin(executor, seconds, lambda: False)
        names = {name: kinds[0] for name, kinds in self._node.get_topic_names_and_types() if kinds}
        for subscription, topic in self._subscriptions:
            offers = self._node.get_publishers_info_by_topic(topic.topic)
            topic.types = sorted({offer.topic_type for offer in offers})
            topic.publishers = [f'{offer.node_namespace.rstrip("/")}/{offer.node_name}' for offer in offers]
            best_effort = QoSReliabilityPolicy.BEST_EFFORT
            topic.best_effort = any(offer.qos_profile.reliability == best_effort for offer in offers)
            topic.incompatible = subscription.incompatible
        return Observations(
            seconds,
            [topic for _, topic in self._subscriptions],
            {name: kind for name, kind in names.items() if self._node.count_publishers(name)},
            clock=self._node.count_publishers('/clock') > 0,
            sim_time=bool(self._node.get_parameter('use_sim_time').value),
            duplicate_names=self._duplicate_names(),
            diagnostics=self._diagnostics,
            missing_transform=self._missing_transform(),
        )

    def _missing_transform(self) -> tuple[str, str] | None:
        """Return target and source of the transform that gives the pose of the camera, if it is needed and missing."""
        newest = {topic.role: topic.last for _, topic in self._subscriptions if topic.last is not None}
        settings = self._settings
        if not isinstance(settings, MultiviewSettings) or 'image' not in newest:
            return None
        target, source = settings.fixed_frame, newest['image'].header.frame_id
        if settings.pose_source == 'odometry':
            if settings.extrinsics or 'odometry' not in newest or not newest['odometry'].child_frame_id:
                return None
            target = newest['odometry'].child_frame_id
        return None if target == source or self._transform(target, source, 0) is not None else (target, source)

    def _duplicate_names(self) -> dict[str, int]:
        names = [f'{namespace.rstrip("/")}/{name}' for name, namespace in self._node.get_node_names_and_namespaces()]
        return {name: count for name, count in Counter(names).items() if count > 1}

    def _spin(self, executor: SingleThreadedExecutor, seconds: float, done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not done():
            executor.spin_once(timeout_sec=0.05)
            for subscription, _ in self._subscriptions:
                subscription.refresh()

    def _subscribe(self, role: str, argument: str, kind: str, required: bool) -> None:
        def on_message(message: Any) -> None:
            topic.arrived_s.append(time.monotonic())
            stamp = stamp_ns(message.header.stamp)
            topic.stamps_ns.append(stamp)
            topic.ages_s.append((self._node.get_clock().now().nanoseconds - stamp) / 1e9)
            topic.largest_bytes = max(topic.largest_bytes, len(getattr(message, 'data', ())))
            topic.last = message

        package = nav_msgs if kind == 'Odometry' else sensor_msgs
        subscription = AdoptingSubscription(self._node, getattr(package.msg, kind), argument, on_message)
        topic = ObservedTopic(role, subscription.topic, argument, f'{package.__name__}/msg/{kind}', required)
        self._subscriptions.append((subscription, topic))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(': frames') and status.hardware_id.endswith('_depth'):
                self._diagnostics[status.hardware_id] = (int.from_bytes(status.level, 'little'), status.message)


def _inputs(settings: NodeSettings) -> list[tuple[str, str, str, bool]]:
    """Return role, topic, type, and whether the node requires it."""
    kind, suffix = ('Image', '') if settings.image_transport == 'raw' else ('CompressedImage', '/compressed')
    if isinstance(settings, StereoSettings):
        return [
            topic
            for side in ('left', 'right')
            for topic in (
                (f'{side} image', f'{side}/image_rect{suffix}', kind, True),
                (f'{side} camera_info', f'{side}/camera_info', 'CameraInfo', True),
            )
        ]
    if isinstance(settings, MultiviewSettings):
        odometry = [('odometry', 'odom', 'Odometry', True)] if settings.pose_source == 'odometry' else []
        return [('image', f'image{suffix}', kind, True), ('camera_info', 'camera_info', 'CameraInfo', True), *odometry]
    sensors = [(sensor.role, sensor.topic, sensor.kind, True) for sensor in sensor_topics(settings, Scaler())]
    required = needs_focal_length(settings) or settings.scale_source in ('reference', 'ground')
    camera_info = ('camera_info', 'camera_info', 'CameraInfo', required)
    return [('image', f'image{suffix}', kind, True), camera_info, *sensors]
