"""A recording → its messages; what is damaged is counted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.rosbag2.storage_mcap import McapReader, Schema
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from depth_ros.errors import BadFile
from depth_ros.messages.drop_reasons import DropReason

IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
INFO = 'sensor_msgs/msg/CameraInfo'
_SCHEMA_ENCODINGS = ('ros2msg', 'ros2idl', 'omgidl', '')
_IDL_SEPARATOR = '=' * 80 + '\n'


@dataclass
class UnusedMessages:
    """What could not be used, by reason."""

    counts: dict[DropReason, int] = field(default_factory=dict)

    def add(self, reason: DropReason) -> None:
        """Count one message."""
        self.counts[reason] = self.counts.get(reason, 0) + 1


class Bag:
    """An open bag: rosbag2 in sqlite3 or mcap, compressed or not. Without its metadata.yaml the files alone are read.

    The files say which topics there are and how many messages; metadata.yaml only says which files belong together.

    Raises:
        BadFile: it is not there, not a bag, or cut off so that it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = UnusedMessages()
        self.cut_off = ''
        """Why reading ended before the end of the recording; empty if it did not."""
        self._readers: list[Reader] = []
        try:
            for each in _storage(path):
                reader = _Reader(each)
                reader.open()
                self._readers.append(reader)
                for storage in _storages(reader):
                    storage.connections[:] = [c._replace(msgtype=_full_name(c.msgtype)) for c in storage.connections]
            self.connections = [c for reader in self._readers for c in _connections(reader)]
            """Of the files; a topic has several where it was published under several QoS or split over files."""
            self._types, self._unreadable = _typestore(self.connections)
        except Exception as error:  # rosbags raises many types for damaged files
            self.close()
            reason = str(error).rstrip('.')
            raise BadFile(
                f'{path} cannot be read as a bag: {reason}. Was it recorded to its end? Try ros2 bag reindex, or mcap '
                'recover'
            ) from error

    def close(self) -> None:
        """Close the files."""
        for reader in self._readers:
            reader.close()

    @property
    def duration_ns(self) -> int:
        """Time between the first and the last message."""
        spans = [r for r in self._readers if r.message_count]
        return max(r.end_time for r in spans) - 1 - min(r.start_time for r in spans) if spans else 0

    def unreadable(self) -> dict[str, str]:
        """Return the topics whose messages cannot be deserialized, with their type: its definition is missing or wrong.

        Service events are an example: recordings hold the definition of the service instead of that of the event.
        """
        return {c.topic: c.msgtype for c in self.connections if c.msgtype in self._unreadable}

    def remarks(self) -> list[str]:
        """Return what is unusual about the recording, one line each."""
        found = []
        if unreadable := self.unreadable():
            topics = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(unreadable.items()))
            found.append(f'{self.path}: skipping topics without a readable message definition: {topics}')
        for topic, promised in sorted(self._promised().items()):
            if (count := self.count(topic)) < promised:
                found.append(f'{self.path}: metadata.yaml lists {promised} messages on {topic}; the files have {count}')
        return found

    def _promised(self) -> dict[str, int]:
        """Return how many messages metadata.yaml lists, by topic."""
        found: dict[str, int] = {}
        for reader in self._readers:
            for connection in reader.connections:
                found[connection.topic] = found.get(connection.topic, 0) + connection.msgcount
        return found

    def count(self, *topics: str) -> int:
        """Return how many messages there are on topics."""
        return sum(c.msgcount for c in self.connections if c.topic in topics)

    def serialized(self, *topics: str) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time of recording and bytes as they are in the bag; ``cut_off`` if the files break off.

        Raises:
            BadFile: the end is reached and messages that the files list were not among those read.
        """
        chosen = [[c for c in _connections(reader) if c.topic in topics] for reader in self._readers]
        sources = [r.messages(each) for r, each in zip(self._readers, chosen, strict=True) if each]
        read = 0
        try:
            for item in merge(*sources, key=lambda item: item[1]):
                yield item
                read += 1
        except Exception as error:  # as above
            self.cut_off = f'{type(error).__name__}: {error}'
            self.trouble.add(DropReason.REST_OF_BAG_UNREADABLE)
            return
        if read < (listed := self.count(*topics)):
            raise BadFile(
                f'{self.path}: {read} messages read on {", ".join(topics)}; expected {listed}. The index of the '
                'recording is wrong. Try ros2 bag reindex, or mcap recover'
            )

    def messages(self, *topics: str) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, time of recording and message; a damaged one is counted and left out."""
        for connection, recorded_ns, data in self.serialized(*topics):
            message = self.deserialize(data, connection.msgtype)
            if message is not None:
                yield connection.topic, recorded_ns, message

    def deserialize(self, data: bytes, msgtype: str) -> Any:
        """Return a message; None, and counted, if it is damaged."""
        try:
            return self._types.deserialize_cdr(data, msgtype)
        except Exception:  # whatever garbage makes of a deserializer
            self.trouble.add(DropReason.DAMAGED)
            return None

    def types(self) -> dict[str, str]:
        """Return the type of every topic."""
        return {c.topic: c.msgtype for c in self.connections}

    def require(self, types: dict[str, tuple[str, ...]]) -> None:
        """Check that topics exist with one of their types.

        Raises:
            BadFile: the first that does not, with what is there.
        """
        found = self.types()
        for topic, wanted in types.items():
            if topic not in found:
                there = ', '.join(sorted(found)) or 'none'
                raise BadFile(f'{self.path} has no topic {topic}; it has {there}. Check namespace and remappings')
            if found[topic] not in wanted:
                raise BadFile(f'{topic} in {self.path} is {found[topic]}; expected {" or ".join(wanted)}')
            if found[topic] in self._unreadable:
                raise BadFile(f'{topic} in {self.path} is {found[topic]}, whose definition in the recording is wrong')


class _Schemas(dict[int, Schema]):
    """Message definitions of an mcap file; one of an unknown encoding counts as missing."""

    def __setitem__(self, key: int, schema: Schema) -> None:
        known = schema.encoding in _SCHEMA_ENCODINGS
        super().__setitem__(key, schema if known else schema._replace(encoding='', data=''))


class _McapReader(McapReader):
    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self.schemas = _Schemas()


class _DirectoryReader(DirectoryReader):
    STORAGE_PLUGINS: Mapping[str, Any] = {**DirectoryReader.STORAGE_PLUGINS, 'mcap': _McapReader}


class _Reader(Reader):
    STORAGE_PLUGINS: Mapping[str, Any] = {**Reader.STORAGE_PLUGINS, 'dir': _DirectoryReader, '.mcap': _McapReader}


def _storage(path: Path) -> list[Path]:
    """Return what to open: the folder, or its files if a recorder that died has left no metadata."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    return sorted([*path.glob('*.db3'), *path.glob('*.mcap')]) or [path]


def _storages(reader: Reader) -> list[Any]:
    """Return the open files of a reader."""
    return [*reader.storage.storages] if isinstance(reader.storage, DirectoryReader) else [reader.storage]


def _connections(reader: Reader) -> list[Connection]:
    """Return the connections of the files.

    ``reader.connections`` of a folder are those of metadata.yaml; rosbags reads only what has the same QoS there and in
    the file, and both may differ.
    """
    return [connection for storage in _storages(reader) for connection in storage.connections]


def _full_name(msgtype: str) -> str:
    """Return ``sensor_msgs/msg/Image`` for ``sensor_msgs/Image``, as ROS 2 Dashing and older wrote it."""
    package, _, name = msgtype.partition('/')
    return msgtype if '/' in name else f'{package}/msg/{name}'


def _typestore(connections: list[Connection]) -> tuple[Typestore, set[str]]:
    """Return the message types of a recording, and the names of those that cannot be read.

    Definitions in the recording come first; those of ROS 2 Humble stand in for missing ones.
    """
    store = get_typestore(Stores.EMPTY)
    defined = [c for c in connections if c.msgdef.format != MessageDefinitionFormat.NONE]
    for connection in {c.msgtype: c for c in defined}.values():
        try:
            found = _definitions(connection)
            store.register({name: each for name, each in found.items() if name not in store.fielddefs})
        except Exception:  # the parsers raise many types; what is missing is found out below
            continue
    digests = {c.msgtype: c.digest for c in defined if c.digest}
    types = {c.msgtype for c in connections}
    if all(_is_readable(store, each, digests.get(each)) for each in types):
        return store, set()
    standard = get_typestore(Stores.ROS2_HUMBLE).fielddefs
    store.register({name: each for name, each in standard.items() if name not in store.fielddefs})
    return store, {each for each in types if not _is_readable(store, each, digests.get(each))}


def _definitions(connection: Connection) -> Any:
    """Parse the definition of a type and of the types that it is made of."""
    text = connection.msgdef.data
    if connection.msgdef.format == MessageDefinitionFormat.MSG:
        return get_types_from_msg(text, connection.msgtype)
    parts = text.split(_IDL_SEPARATOR)[1:] if text.startswith(f'{_IDL_SEPARATOR}IDL: ') else [f'\n{text}']
    return {name: each for part in parts for name, each in get_types_from_idl(part.partition('\n')[2]).items()}


def _is_readable(store: Typestore, msgtype: str, digest: str | None) -> bool:
    try:
        store.get_msgdef(msgtype)
        return digest is None or store.hash_rihs01(msgtype) == digest
    except Exception:  # a part is missing or makes no sense
        return False
