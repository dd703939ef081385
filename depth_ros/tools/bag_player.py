"""The ``bag_player`` node: a recording on a live graph, for those without ``ros2 bag``."""

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
    """Publishes the messages of a bag, byte by byte, with the pauses between their times of recording.

    Args:
        path: Of the bag.
        rate: How many times faster than it was recorded.
        loop: Begin anew at the end, instead of ending the process.
        clock: Publish ``/clock`` too: the times of recording.

    Raises:
        BadFile: it cannot be read, or there is nothing to publish.
        BadSettings: the rate is no positive number.
    """

    def __init__(self, path: Path, rate: float = 1.0, loop: bool = False, clock: bool = False, **options: Any) -> None:
        if not 0 < rate < float('inf'):
            raise BadSettings(f'the rate is {rate:g}; expected a number above 0')
        self._bag = Bag(path)
        super().__init__('bag_player', **options)
        self._rate, self._loop, self._clock_wanted = rate, loop, clock
        self._outlets = self._open_outlets()
        if not self._outlets:
            raise BadFile(f'no topic of {path} has a type that is installed here; expected sensor_msgs and the like')
        self._clock_outlet = self.create_publisher(Clock, '/clock', 10) if clock else None
        self._clock_said_s = 0.0
        self.sent = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play, name='player', daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """End playing and say how much was played."""
        self._stopping.set()
        self._thread.join(2)
        self._bag.close()
        self.get_logger().info(f'{self.sent} messages of {len(self._outlets)} topics played')
        return not self._thread.is_alive()

    def _open_outlets(self) -> dict[str, Publisher]:
        outlets = {}
        for connection in self._bag.connections:
            if connection.topic == '/clock' and self._clock_wanted:
                continue
            package, _, name = connection.msgtype.partition('/msg/')
            try:
                kind = getattr(importlib.import_module(f'{package}.msg'), name)
            except (ImportError, AttributeError):
                self.get_logger().warning(f'{connection.topic} is left out: {connection.msgtype} is not installed')
                continue
            outlets[connection.topic] = self.create_publisher(kind, connection.topic, _offered(connection))
        return outlets

    def _play(self) -> None:
        self._wait_for_listeners()
        while not self._stopping.is_set():
            before = self.sent
            self._play_once()
            if self._bag.cut_off:
                self.get_logger().error(f'the recording breaks off: {self._bag.cut_off}')
            if not self._loop or self.sent == before:
                break
        if not self._stopping.is_set():
            time.sleep(0.2)  # the last messages are still on their way
            node_process.request_exit(0)

    def _play_once(self) -> None:
        started_s, first_ns = time.monotonic(), None
        for connection, recorded_ns, data in self._bag.serialized(*self._outlets):
            first_ns = recorded_ns if first_ns is None else first_ns
            due_s = started_s + (recorded_ns - first_ns) / _NS / self._rate
            while not self._stopping.is_set() and (left_s := due_s - time.monotonic()) > 0:
                self._say_clock(recorded_ns - round(left_s * self._rate * _NS))
                self._stopping.wait(min(left_s, _CLOCK_PERIOD_S) if self._clock_outlet else left_s)
            if self._stopping.is_set():
                return
            self._say_clock(recorded_ns)
            self._outlets[connection.topic].publish(bytes(data))
            self.sent += 1

    def _say_clock(self, now_ns: int) -> None:
        if self._clock_outlet is not None and time.monotonic() - self._clock_said_s >= 0.9 * _CLOCK_PERIOD_S:
            self._clock_said_s = time.monotonic()
            self._clock_outlet.publish(Clock(clock=Time(sec=now_ns // _NS, nanosec=now_ns % _NS)))

    def _wait_for_listeners(self) -> None:
        """Let discovery find those who listen, and them find out what we offer, so that they get the first message."""
        began_s = changed_s = time.monotonic()
        before = 0
        while (now_s := time.monotonic()) < began_s + _DISCOVERY_S and not self._stopping.wait(0.05):
            found = sum(outlet.get_subscription_count() for outlet in self._outlets.values())
            if found != before:
                before, changed_s = found, now_s
            elif found and now_s > changed_s + _SETTLED_S:
                return


def _offered(connection: Any) -> QoSProfile:
    """Return the QoS under which a topic was recorded; reliable where the bag does not say."""
    profile = QoSProfile(depth=10)
    if connection.ext.offered_qos_profiles:
        offered = connection.ext.offered_qos_profiles[0]
        if offered.reliability.name == 'BEST_EFFORT':
            profile.reliability = QoSReliabilityPolicy.BEST_EFFORT
        if offered.durability.name == 'TRANSIENT_LOCAL':
            profile.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return profile
