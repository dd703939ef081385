"""The ``bag_player`` node: publishes a recording on a live graph where ``ros2 bag`` is not installed."""

import importlib
import threading
import time
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock

from depth_ros.bags.bag_reader import Bag
from depth_ros.errors import BadFile, BadSettings
from depth_ros.ros import node_process

_CLOCK_PERIOD_S = 0.01
_DISCOVERY_S, _SETTLED_S = 3.0, 0.5
_NS = 1_000_000_000


class BagPlayer(Node):
    """Publishes the serialized messages of a bag at the times at which they were recorded.

    Args:
        path: Path of the bag.
        rate: Playback speed relative to the recording.
        loop: Start again at the end of the bag instead of exiting.
        clock: Publish the recorded times on ``/clock``.

    Raises:
        BadFile: the bag cannot be read, or none of its topics can be published.
        BadSettings: the rate is not a positive number.
    """

    def __init__(self, path: Path, rate: float = 1.0, loop: bool = False, clock: bool = False, **options: Any) -> None:
        if not 0 < rate < float('inf'):
            raise BadSettings(f'the rate is {rate:g}; expected a number above 0')
        self._bag = Bag(path)
        super().__init__('bag_player', **options)
        self._rate, self._loop, self._publish_clock = rate, loop, clock
        self._publishers_by_topic = self._create_publishers()
        if not self._publishers_by_topic:
            raise BadFile(
                f'the types of all topics of {path} are unavailable; expected installed types such as sensor_msgs'
            )
        self._clock_publisher = self.create_publisher(Clock, '/clock', 10) if clock else None
        self._clock_sent_s = 0.0
        self.sent = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play, name='player', daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Stop playing and log the number of messages that were published."""
        self._stopping.set()
        self._thread.join(2)
        self._bag.close()
        self.get_logger().info(f'{self.sent} messages of {len(self._publishers_by_topic)} topics played')
        return not self._thread.is_alive()

    def _create_publishers(self) -> dict[str, Publisher]:
        publishers = {}
        for connection in self._bag.connections:
            if connection.topic == '/clock' and self._publish_clock:
                continue
            package, _, name = connection.msgtype.partition('/msg/')
            try:
                kind = getattr(importlib.import_module(f'{package}.msg'), name)
            except (ImportError, AttributeError):
                self.get_logger().warning(f'{connection.topic} is not played: {connection.msgtype} is not installed')
                continue
            publishers[connection.topic] = self.create_publisher(kind, connection.topic, _recorded_qos(connection))
        return publishers

    def _play(self) -> None:
        self._wait_for_subscribers()
        while not self._stopping.is_set():
            sent_before = self.sent
            self._play_once()
            if self._bag.cut_off:
                self.get_logger().error(f'the recording is truncated: {self._bag.cut_off}')
            if not self._loop or self.sent == sent_before:
                break
        if not self._stopping.is_set():
            time.sleep(0.2)  # until the last messages are delivered
            node_process.request_exit(0)

    def _play_once(self) -> None:
        started_s, first_ns = time.monotonic(), None
        for connection, recorded_ns, data in self._bag.serialized(*self._publishers_by_topic):
            first_ns = recorded_ns if first_ns is None else first_ns
            due_s = started_s + (recorded_ns - first_ns) / _NS / self._rate
            while not self._stopping.is_set() and (remaining_s := due_s - time.monotonic()) > 0:
                self._send_clock(recorded_ns - round(remaining_s * self._rate * _NS))
                self._stopping.wait(min(remaining_s, _CLOCK_PERIOD_S) if self._clock_publisher else remaining_s)
            if self._stopping.is_set():
                return
            self._send_clock(recorded_ns)
            self._publishers_by_topic[connection.topic].publish(bytes(data))
            self.sent += 1

    def _send_clock(self, now_ns: int) -> None:
        if self._clock_publisher is not None and time.monotonic() - self._clock_sent_s >= 0.9 * _CLOCK_PERIOD_S:
            self._clock_sent_s = time.monotonic()
            self._clock_publisher.publish(Clock(clock=Time(sec=now_ns // _NS, nanosec=now_ns % _NS)))

    def _wait_for_subscribers(self) -> None:
        """Wait until the number of subscriptions no longer changes, so that subscribers receive the first message."""
        started_s = changed_s = time.monotonic()
        previous_count = 0
        while (now_s := time.monotonic()) < started_s + _DISCOVERY_S and not self._stopping.wait(0.05):
            count = sum(publisher.get_subscription_count() for publisher in self._publishers_by_topic.values())
            if count != previous_count:
                previous_count, changed_s = count, now_s
            elif count and now_s > changed_s + _SETTLED_S:
                return


def _recorded_qos(connection: Any) -> QoSProfile:
    """Return the QoS with which a topic was recorded; reliable if the bag contains none."""
    profile = QoSProfile(depth=10)
    if connection.ext.offered_qos_profiles:
        offered = connection.ext.offered_qos_profiles[0]
        if offered.reliability.name == 'BEST_EFFORT':
            profile.reliability = QoSReliabilityPolicy.BEST_EFFORT
        if offered.durability.name == 'TRANSIENT_LOCAL':
            profile.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return profile
