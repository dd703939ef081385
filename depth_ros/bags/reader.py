"""A recording → its messages; what is damaged is counted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from depth_ros.errors import BadFile

IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
INFO = 'sensor_msgs/msg/CameraInfo'


@dataclass
class Trouble:
    """What could not be used, by reason."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        """Count one message."""
        self.counts[reason] = self.counts.get(reason, 0) + 1


class Bag:
    """An open bag: rosbag2 in sqlite3 or mcap, compressed or not. Without its metadata.yaml the files alone are read.

    Raises:
        BadFile: it is not there, not a bag, or cut off so that it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = Trouble()
        self.cut_off = ''
        """Why reading ended before the end of the recording; empty if it did not."""
        try:
            self.reader = AnyReader(_storage(path), default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            self.reader.open()
        except Exception as error:  # rosbags raises many types for damaged files
            reason = str(error).rstrip('.')
            raise BadFile(
                f'{path} cannot be read as a bag: {reason}. Was it recorded to its end? Try ros2 bag reindex, or mcap '
                'recover'
            ) from error

    def close(self) -> None:
        """Close the files."""
        self.reader.close()

    def count(self, *topics: str) -> int:
        """Return how many messages there are on topics."""
        return sum(c.msgcount for c in self.reader.connections if c.topic in topics)

    def serialized(self, *topics: str) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time of recording and bytes as they are in the bag; ``cut_off`` if the files break off."""
        chosen = [c for c in self.reader.connections if c.topic in topics]
        try:
            yield from self.reader.messages(chosen) if chosen else ()
        except Exception as error:  # as above
            self.cut_off = f'{type(error).__name__}: {error}'
            self.trouble.add('rest_of_bag_unreadable')

    def messages(self, *topics: str) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, time of recording and message; a damaged one is counted and left out."""
        for connection, recorded_ns, data in self.serialized(*topics):
            message = self.deserialize(data, connection.msgtype)
            if message is not None:
                yield connection.topic, recorded_ns, message

    def deserialize(self, data: bytes, msgtype: str) -> Any:
        """Return a message; None, and counted, if it is damaged."""
        try:
            return self.reader.deserialize(data, full_type(msgtype))
        except Exception:  # whatever garbage makes of a deserializer
            self.trouble.add('damaged')
            return None

    def types(self) -> dict[str, str]:
        """Return the type of every topic."""
        return {c.topic: full_type(c.msgtype) for c in self.reader.connections}

    def require(self, types: dict[str, tuple[str, ...]]) -> None:
        """Check that topics exist with one of their types.

        Raises:
            BadFile: the first that does not, with what is there.
        """
        found = self.types()
        for topic, wanted in types.items():
            if topic not in found:
                there = ', '.join(sorted(found)) or 'none'
                raise BadFile(f'{self.path} has no topic {topic}; it has {there}. Is the namespace right?')
            if found[topic] not in wanted:
                raise BadFile(f'{topic} in {self.path} is {found[topic]}; expected {" or ".join(wanted)}')


def full_type(name: str) -> str:
    """Return the name of a type as recorders since Eloquent write it; Dashing wrote ``sensor_msgs/Image``."""
    package, _, rest = name.partition('/')
    return f'{package}/msg/{rest}' if rest and '/' not in rest else name


def _storage(path: Path) -> list[Path]:
    """Return what to open: the folder, or its files if a recorder that died has left no metadata."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    return sorted([*path.glob('*.db3'), *path.glob('*.mcap')]) or [path]
