"""The pipeline of a node over a bag: every frame, as fast as the machine allows, with the original stamps.

Reading and writing have a thread each, so that the estimator does not wait for a disk.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from threading import Event
from typing import Any

from depth_ros.bags.bag_cameras import cameras_of
from depth_ros.bags.bag_reader import Bag
from depth_ros.bags.bag_writer import DepthBag
from depth_ros.errors import BadCameraInfo, BadImage, BadInput, EstimatorError
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.topic_names import Remap, TopicNames
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

Progress = Callable[[int, int], None]
"""Told how many frames have begun, and how many there are."""
_REASONS = {
    BadImage: DropReason.BAD_IMAGE,
    BadCameraInfo: DropReason.BAD_CAMERA_INFO,
    BadInput: DropReason.BAD_REFERENCE,
    EstimatorError: DropReason.ESTIMATOR_FAILED,
}
_AHEAD = 8
"""Messages read in advance: bounds memory."""


@dataclass(frozen=True)
class Report:
    """What became of a bag."""

    frames: int
    """Images or left images that were there."""
    written: int
    dropped: dict[DropReason, int]
    seconds: float
    cut_off: str
    """Why the rest of the recording could not be read; empty if all could."""
    remarks: list[str]
    """What is unusual about the recording."""

    @property
    def failed(self) -> bool:
        """Whether there were frames and none became depth."""
        return self.frames > 0 and not self.written


def process(
    source: Path,
    target: Path,
    settings: MonoSettings | StereoSettings,
    namespaces: Sequence[str] = ('',),
    keep_inputs: bool = False,
    mcap: bool = False,
    progress: Progress = lambda done, count: None,
    remaps: Sequence[Remap] = (),
) -> Report:
    """Write a bag with the depth of another one.

    Args:
        source: The recording.
        target: The new bag; must not exist.
        settings: Of ``mono_depth`` or ``stereo_depth``, which decides what is done.
        namespaces: One for each camera, of its topics and of what is written: ``/front`` for
            ``/front/left/image_rect``. All cameras share one network.
        keep_inputs: Copy the cameras' messages too, under the names before remapping, so that ``bag check`` finds them.
        mcap: Write mcap instead of sqlite3.
        progress: Called for every message.
        remaps: Names of topics in the recording that differ from those of the node, as ``-r from:=to``.

    Raises:
        BadFile: a bag is of no use, or a topic is missing.
        ModelError, InferenceError: the network cannot be used.
    """
    started_s = time.monotonic()
    names = [TopicNames(namespace, remaps) for namespace in namespaces]
    with closing(Bag(source)) as bag, cameras_of(bag, settings, names) as cameras:
        copied = {topic: name for camera in cameras for topic, name in camera.topics.items()} if keep_inputs else {}
        streamed = {topic for camera in cameras for topic in camera.streamed}
        counting = {next(iter(camera.topics)) for camera in cameras}
        frames, done, written = bag.count(*counting), 0, 0
        with DepthBag(target, mcap) as depth_bag, _ahead(bag, streamed, set(copied)) as messages:
            for connection, recorded_ns, data, message in messages:
                topic = connection.topic
                done += topic in counting
                progress(done, frames)
                if topic in copied:
                    depth_bag.copy(copied[topic], connection.msgtype, recorded_ns, data)
                for camera in cameras:
                    if message is None or topic not in camera.streamed:
                        continue
                    try:
                        seen = camera.take(topic, recorded_ns, message)
                    except tuple(_REASONS) as error:
                        bag.trouble.add(next(reason for kind, reason in _REASONS.items() if isinstance(error, kind)))
                        continue
                    if seen is not None:
                        depth_bag.write(camera.names, seen[1], seen[0], settings, camera.state.rays)
                        written += 1
            for camera in cameras:
                camera.finish()
        seconds = time.monotonic() - started_s
        return Report(frames, written, dict(bag.trouble.counts), seconds, bag.cut_off, bag.remarks())


_Message = tuple[Any, int, bytes, Any]


@contextmanager
def _ahead(bag: Bag, streamed: set[str], copied: set[str]) -> Iterator[Iterator[_Message]]:
    """Read on a thread of its own, a few messages in advance; what is not streamed is not deserialized (None).

    Raises:
        BadFile: messages that the recording lists were not read; raised when the last one has been handled.
    """
    waiting: Queue[_Message | None] = Queue(_AHEAD)
    stop = Event()

    def put(item: _Message | None) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return
            except Full:
                continue

    def read() -> None:
        try:
            for connection, recorded_ns, data in bag.serialized(*streamed, *copied):
                wanted = connection.topic in streamed
                put((connection, recorded_ns, data, bag.deserialize(data, connection.msgtype) if wanted else None))
                if stop.is_set():
                    return
        finally:
            put(None)

    with ThreadPoolExecutor(1, 'reader') as thread:
        reading = thread.submit(read)
        try:
            yield iter(waiting.get, None)
        finally:
            stop.set()
        reading.result()
