"""Reads rosbag2 recordings; damaged messages are skipped and counted."""

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
ODOMETRY = 'nav_msgs/msg/Odometry'
_SCHEMA_ENCODINGS = ('ros2msg', 'ros2idl', 'omgidl', '')
_IDL_SEPARATOR = '=' * 80 + '\n'


@dataclass
class UnusedMessages:
    """Number of messages that were not used, by reason."""

    counts: dict[DropReason, int] = field(default_factory=dict)

    def add(self, reason: DropReason) -> None:
        """Count one message."""
        self.counts[reason] = self.counts.get(reason, 0) + 1


class Bag:
    """An open rosbag2 recording: sqlite3 or mcap, compressed or not, with or without metadata.yaml.

    Topics and message counts are read from the files; metadata.yaml only determines which files belong together.

    Raises:
        BadFile: the path does not exist, is not a bag, or is truncated so that it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unused = UnusedMessages()
        self.cut_off = ''
        """Why reading stopped before the end of the recording; empty if it did not."""
        self._readers: list[Reader] = []
        try:
            for file in _bag_files(path):
                reader = _Reader(file)
                reader.open()
                self._readers.append(reader)
                for storage in _storages(reader):
                    storage.connections[:] = [c._replace(msgtype=_full_name(c.msgtype)) for c in storage.connections]
            self.connections = [c for reader in self._readers for c in _connections(reader)]
            """Connections of the files; a topic has several if it was published with several QoS profiles or is split
            over several files."""
            self._types, self._unreadable = _typestore(self.connections)
        except Exception as error:  # rosbags raises many types for damaged files
            self.close()
            reason = str(error).rstrip('.')
            raise BadFile(
                f'{path} cannot be read as a bag: {reason}. If the recording was interrupted, try ros2 bag reindex or '
                'mcap recover'
            ) from error

    def close(self) -> None:
        """Close the files."""
        for reader in self._readers:
            reader.close()

    @property
    def duration_ns(self) -> int:
        """Time between the first and the last message."""
        readers = [r for r in self._readers if r.message_count]
        return max(r.end_time for r in readers) - 1 - min(r.start_time for r in readers) if readers else 0

    def unreadable(self) -> dict[str, str]:
        """Return the type of every topic whose message definition is missing or invalid.

        Messages of these topics cannot be deserialized. Service events are an example: recordings contain the
        definition of the service instead of that of the event.
        """
        return {c.topic: c.msgtype for c in self.connections if c.msgtype in self._unreadable}

    def remarks(self) -> list[str]:
        """Return irregularities of the recording, one line each."""
        remarks = []
        if unreadable := self.unreadable():
            topics = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(unreadable.items()))
            remarks.append(f'{self.path}: skipping topics without a readable message definition: {topics}')
        for topic, listed in sorted(self._listed_counts().items()):
            if (count := self.count(topic)) < listed:
                remarks.append(f'{self.path}: metadata.yaml lists {listed} messages on {topic}; the files have {count}')
        return remarks

    def _listed_counts(self) -> dict[str, int]:
        """Return the number of messages that metadata.yaml lists, by topic."""
        counts: dict[str, int] = {}
        for reader in self._readers:
            for connection in reader.connections:
                counts[connection.topic] = counts.get(connection.topic, 0) + connection.msgcount
        return counts

    def count(self, *topics: str) -> int:
        """Return the number of messages on the given topics."""
        return sum(c.msgcount for c in self.connections if c.topic in topics)

    @property
    def start_ns(self) -> int:
        """Recording time of the first message; 0 if there is none."""
        return min((r.start_time for r in self._readers if r.message_count), default=0)

    def serialized(
        self, *topics: str, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, recording time and serialized message in the order of recording.

        If the rest of the files is unreadable, stop and set ``cut_off``.

        Args:
            topics: Topics to read.
            start_ns: First recording time to read; None = the beginning.
            stop_ns: Recording time at which reading ends; None = the end.

        Raises:
            BadFile: at the end of the whole recording, fewer messages were read than the files list.
        """
        selected = [[c for c in _connections(reader) if c.topic in topics] for reader in self._readers]
        sources = [r.messages(each, start_ns, stop_ns) for r, each in zip(self._readers, selected, strict=True) if each]
        read = 0
        try:
            for item in merge(*sources, key=lambda item: item[1]):
                yield item
                read += 1
        except Exception as error:  # rosbags raises many types for damaged files
            self.cut_off = f'{type(error).__name__}: {error}'
            self.unused.add(DropReason.REST_OF_BAG_UNREADABLE)
            return
        if start_ns is None and stop_ns is None and read < (listed := self.count(*topics)):
            raise BadFile(
                f'{self.path}: {read} messages read on {", ".join(topics)}; expected {listed}. The index of the '
                'recording is invalid. Try ros2 bag reindex or mcap recover'
            )

    def messages(self, *topics: str) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, recording time and message; a damaged message is counted and skipped."""
        for connection, recorded_ns, data in self.serialized(*topics):
            message = self.deserialize(data, connection.msgtype)
            if message is not None:
                yield connection.topic, recorded_ns, message

    def deserialize(self, data: bytes, msgtype: str) -> Any:
        """Return a message; if it is damaged, count it and return None."""
        message = self.deserialize_uncounted(data, msgtype)
        if message is None:
            self.unused.add(DropReason.DAMAGED)
        return message

    def deserialize_uncounted(self, data: bytes, msgtype: str) -> Any:
        """Return a message; None if it is damaged."""
        try:
            return self._types.deserialize_cdr(data, msgtype)
        except Exception:  # damaged data can raise any exception in the deserializer
            return None

    def types(self) -> dict[str, str]:
        """Return the type of every topic."""
        return {c.topic: c.msgtype for c in self.connections}

    def require(self, types: dict[str, tuple[str, ...]]) -> None:
        """Check that topics exist and have one of the expected types.

        Args:
            types: Expected types by topic.

        Raises:
            BadFile: a topic is missing, has another type, or has an invalid message definition.
        """
        recorded = self.types()
        for topic, expected in types.items():
            if topic not in recorded:
                available = ', '.join(sorted(recorded)) or 'none'
                raise BadFile(
                    f'{self.path} has no topic {topic}; available: {available}. Check the namespace and remappings'
                )
            kind = recorded[topic]
            if kind not in expected:
                raise BadFile(f'{topic} in {self.path} is {kind}; expected {" or ".join(expected)}')
            if kind in self._unreadable:
                raise BadFile(
                    f'{topic} in {self.path} is {kind}, whose message definition in the recording is invalid. '
                    'Record the topic again'
                )


class _Schemas(dict[int, Schema]):
    """Message definitions of an mcap file; a definition with an unknown encoding is treated as missing."""

    def __setitem__(self, key: int, schema: Schema) -> None:
        supported = schema.encoding in _SCHEMA_ENCODINGS
        super().__setitem__(key, schema if supported else schema._replace(encoding='', data=''))


class _McapReader(McapReader):
    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self.schemas = _Schemas()


class _DirectoryReader(DirectoryReader):
    STORAGE_PLUGINS: Mapping[str, Any] = {**DirectoryReader.STORAGE_PLUGINS, 'mcap': _McapReader}


class _Reader(Reader):
    STORAGE_PLUGINS: Mapping[str, Any] = {**Reader.STORAGE_PLUGINS, 'dir': _DirectoryReader, '.mcap': _McapReader}


def _bag_files(path: Path) -> list[Path]:
    """Return what to open: the folder, or its files if an interrupted recording has no metadata.yaml."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    return sorted([*path.glob('*.db3'), *path.glob('*.mcap')]) or [path]


def _storages(reader: Reader) -> list[Any]:
    """Return the storage of every open file of a reader."""
    return [*reader.storage.storages] if isinstance(reader.storage, DirectoryReader) else [reader.storage]


def _connections(reader: Reader) -> list[Connection]:
    """Return the connections of the files.

    For a folder, ``reader.connections`` are those of metadata.yaml. rosbags only reads connections whose QoS is the
    same in metadata.yaml and in the file, although these may differ.
    """
    return [connection for storage in _storages(reader) for connection in storage.connections]


def _full_name(msgtype: str) -> str:
    """Return ``sensor_msgs/msg/Image`` for ``sensor_msgs/Image``, the form written by ROS 2 Dashing and older."""
    package, _, name = msgtype.partition('/')
    return msgtype if '/' in name else f'{package}/msg/{name}'


def _typestore(connections: list[Connection]) -> tuple[Typestore, set[str]]:
    """Return the message types of a recording, and the names of the types that are unreadable.

    Definitions in the recording take precedence; missing ones are taken from ROS 2 Humble.
    """
    store = get_typestore(Stores.EMPTY)
    defined = [c for c in connections if c.msgdef.format != MessageDefinitionFormat.NONE]
    for connection in {c.msgtype: c for c in defined}.values():
        try:
            definitions = _definitions(connection)
            store.register({name: each for name, each in definitions.items() if name not in store.fielddefs})
        except Exception:  # the parsers raise many types; missing definitions are detected below
            continue
    digests = {c.msgtype: c.digest for c in defined if c.digest}
    types = {c.msgtype for c in connections}
    if all(_is_readable(store, each, digests.get(each)) for each in types):
        return store, set()
    standard = get_typestore(Stores.ROS2_HUMBLE).fielddefs
    store.register({name: each for name, each in standard.items() if name not in store.fielddefs})
    return store, {each for each in types if not _is_readable(store, each, digests.get(each))}


def _definitions(connection: Connection) -> Any:
    """Parse the definition of a type and of the types of its fields."""
    text = connection.msgdef.data
    if connection.msgdef.format == MessageDefinitionFormat.MSG:
        return get_types_from_msg(text, connection.msgtype)
    parts = text.split(_IDL_SEPARATOR)[1:] if text.startswith(f'{_IDL_SEPARATOR}IDL: ') else [f'\n{text}']
    return {name: each for part in parts for name, each in get_types_from_idl(part.partition('\n')[2]).items()}


def _is_readable(store: Typestore, msgtype: str, digest: str | None) -> bool:
    """Return whether the definition of a type is complete and matches its hash, if the recording has one."""
    try:
        store.get_msgdef(msgtype)
        return digest is None or store.hash_rihs01(msgtype) == digest
    except Exception:  # a nested definition is missing or invalid
        return False
