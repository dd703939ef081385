"""A bag → the frames that a node would get, with every image and every pair."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from depth_ros.errors import BadFile
from depth_ros.files.ros_fields import stamp_ns
from depth_ros.pairing import Side, StereoPairing

IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
INFO = 'sensor_msgs/msg/CameraInfo'


@dataclass(frozen=True)
class MonoJob:
    """One image and the calibration of its time, if there is one."""

    recorded_ns: int
    image: Any
    info: Any


@dataclass(frozen=True)
class StereoJob:
    """A pair of images with their calibrations."""

    recorded_ns: int
    left: Any
    right: Any
    left_info: Any
    right_info: Any


@dataclass
class Trouble:
    """What could not be used, by reason."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        """Count one message."""
        self.counts[reason] = self.counts.get(reason, 0) + 1


class Bag:
    """An open bag: rosbag2 in sqlite3 or mcap, compressed or not.

    Raises:
        BadFile: it is not there, not a bag, or cut off so that it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = Trouble()
        try:
            self.reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self.reader.open()
        except Exception as error:  # rosbags raises many types for damaged files
            raise BadFile(f'{path} cannot be read as a bag: {error}. Is it complete (ros2 bag reindex)?') from error

    def close(self) -> None:
        """Close the files."""
        self.reader.close()

    def count(self, *topics: str) -> int:
        """Return how many messages there are on topics."""
        return sum(c.msgcount for c in self.reader.connections if c.topic in topics)

    def serialized(self, *topics: str) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time of recording and bytes as they are in the bag."""
        chosen = [c for c in self.reader.connections if c.topic in topics]
        return iter(self.reader.messages(chosen) if chosen else ())

    def messages(self, *topics: str) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, time of recording and message; a damaged one is counted and left out."""
        for connection, recorded_ns, data in self.serialized(*topics):
            try:
                message = self.reader.deserialize(data, connection.msgtype)
            except Exception:  # whatever garbage makes of a deserializer
                self.trouble.add('damaged')
                continue
            yield connection.topic, recorded_ns, message

    def require(self, types: dict[str, tuple[str, ...]]) -> None:
        """Check that topics exist with one of their types.

        Raises:
            BadFile: the first that does not, with what is there.
        """
        found = {c.topic: c.msgtype for c in self.reader.connections}
        for topic, wanted in types.items():
            if topic not in found:
                raise BadFile(f'{self.path} has no topic {topic}; it has {", ".join(sorted(found)) or "none"}. Name it')
            if found[topic] not in wanted:
                raise BadFile(f'{topic} in {self.path} is {found[topic]}; expected {" or ".join(wanted)}')


class Calibrations:
    """The camera_infos of a topic: of a stamp, else the newest before it, else the first."""

    def __init__(self, bag: Bag, topic: str) -> None:
        by_stamp = {stamp_ns(m.header.stamp): m for _, _, m in bag.messages(topic)}
        self._stamps = sorted(by_stamp)
        self._messages = [by_stamp[stamp] for stamp in self._stamps]

    def at(self, stamp: int) -> Any:
        """Return the one for an image; None if the topic is empty."""
        if not self._messages:
            return None
        return self._messages[max(bisect_right(self._stamps, stamp) - 1, 0)]


def mono_jobs(bag: Bag, image: str, info: str) -> Iterator[MonoJob]:
    """Yield every image of a topic."""
    infos = Calibrations(bag, info)
    for _, recorded_ns, message in bag.messages(image):
        yield MonoJob(recorded_ns, message, infos.at(stamp_ns(message.header.stamp)))


def stereo_jobs(bag: Bag, topic: Callable[[str], str], max_skew_ns: int, zero_stamps: bool) -> Iterator[StereoJob]:
    """Yield every pair; messages without a partner are counted."""
    images: dict[str, Side] = {topic('left/image_rect'): 'left', topic('right/image_rect'): 'right'}
    infos = {side: Calibrations(bag, topic(f'{side}/camera_info')) for side in ('left', 'right')}
    pairing: StereoPairing[tuple[int, Any]] = StereoPairing(max_skew_ns, zero_stamps)
    for name, recorded_ns, message in bag.messages(*images):
        stamp = stamp_ns(message.header.stamp)
        outcome = pairing.add(images[name], stamp, (recorded_ns, message))
        for _, reason in outcome.dropped:
            bag.trouble.add(reason)
        if outcome.pair is not None:
            (recorded_ns, left), (_, right) = outcome.pair.left, outcome.pair.right
            at = stamp_ns(left.header.stamp)
            yield StereoJob(recorded_ns, left, right, infos['left'].at(at), infos['right'].at(at))
