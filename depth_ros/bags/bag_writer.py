"""Writes depth to a bag that RViz, Foxglove and ``ros2 bag play`` can open."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from depth_ros.errors import BadFile
from depth_ros.messages.message_builder import MessageBuilder
from depth_ros.messages.topic_names import TopicNames
from depth_ros.pipeline import cloud
from depth_ros.settings.common_settings import Settings
from depth_ros.stages.depth_encoding import encoded
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.types import DepthMap, RelativeMap

_FORMAT: Literal[9] = 9
"""Version of metadata.yaml: the one of ROS 2 Humble, which later distributions also read."""
_MAX_PENDING = 4
"""Maximum number of writes that are pending; limits memory use."""


class DepthBag:
    """Writes depth maps on a separate thread; a context manager, so that the bag is also readable after an exception.

    Args:
        path: Folder of the new bag.
        mcap: Write mcap instead of sqlite3.

    Raises:
        BadFile: the folder exists or cannot be written; every method may raise it too.
    """

    def __init__(self, path: Path, mcap: bool) -> None:
        self._path = path
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._build = MessageBuilder(self._make)
        self._connections: dict[str, Any] = {}
        plugin = StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3
        self._thread = ThreadPoolExecutor(1, 'writer')  # sqlite3 requires that all calls come from one thread
        self._pending: deque[Future[None]] = deque()
        self._submit(self._open, plugin)
        self._wait(0)

    def __enter__(self) -> 'DepthBag':
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._submit(lambda: self._writer.close())
        try:
            self._wait(0)
        except BadFile:
            if kind is None:
                raise
        finally:
            self._thread.shutdown()

    def write(
        self, names: TopicNames, depth: DepthMap | RelativeMap, recorded_ns: int, settings: Settings, rays: PixelRays
    ) -> None:
        """Write all output messages of one frame with the recording time of its image."""
        self._submit(self._write_depth, names, depth, recorded_ns, settings, rays)
        self._wait(_MAX_PENDING)

    def copy(self, topic: str, msgtype: str, recorded_ns: int, data: bytes) -> None:
        """Write a serialized message unchanged."""
        self._submit(self._write, topic, msgtype, recorded_ns, data)
        self._wait(_MAX_PENDING)

    def _submit(self, work: Callable[..., None], *arguments: Any) -> None:
        self._pending.append(self._thread.submit(work, *arguments))

    def _wait(self, max_pending: int) -> None:
        while len(self._pending) > max_pending:
            try:
                self._pending.popleft().result()
            except Exception as error:  # exceptions of rosbags and sqlite3, and OSError
                raise BadFile(f'{self._path} cannot be written: {error}') from error

    def _open(self, plugin: StoragePlugin) -> None:
        self._writer = Writer(self._path, version=_FORMAT, storage_plugin=plugin)
        self._writer.open()

    def _write_depth(
        self, names: TopicNames, depth: DepthMap | RelativeMap, recorded_ns: int, settings: Settings, rays: PixelRays
    ) -> None:
        build = self._build
        header = build.header(depth.stamp_ns, depth.frame_id)

        def put(topic: str, message: Any) -> None:
            kind = message.__msgtype__
            self._write(names(topic), kind, recorded_ns, self._store.serialize_cdr(message, kind))

        if isinstance(depth, RelativeMap):
            put('depth/relative', build.image(depth.values, '32FC1', header))
            return
        if depth.camera is not None:
            put('depth/camera_info', build.camera_info(depth.camera, header))
        encoding = settings.depth_encoding
        put('depth/image_rect', build.image(encoded(depth.depth_m, encoding), encoding, header))
        if depth.camera is not None:
            put('points', build.point_cloud(cloud(depth, settings, rays), header))

    def _write(self, topic: str, msgtype: str, recorded_ns: int, data: bytes | memoryview) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, msgtype, typestore=self._store)
        self._writer.write(self._connections[topic], recorded_ns, data)

    def _make(self, kind: str, /, **values: Any) -> Any:
        """Return a message of rosbags: lists of floats as arrays, ``data`` as bytes."""
        fields = {
            name: np.array(value) if isinstance(value, list) and value and isinstance(value[0], float) else value
            for name, value in values.items()
        }
        if 'data' in fields:
            fields['data'] = np.ascontiguousarray(fields['data']).reshape(-1).view(np.uint8)
        return self._store.types[kind](**fields)
