"""The pipeline of a node over a bag: every frame, as fast as the machine allows, with the original stamps.

Reading and writing have a thread each, so that the estimator does not wait for a disk.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

from depth_ros.bags.cameras import cameras_of
from depth_ros.bags.reader import Bag, full_type
from depth_ros.bags.writer import DepthBag
from depth_ros.errors import BadCameraInfo, BadImage, BadInput, EstimatorError
from depth_ros.settings import MonoSettings, StereoSettings

Progress = Callable[[int, int], None]
"""Told how many frames have begun, and how many there are."""
_REASONS = {
    BadImage: 'bad_image',
    BadCameraInfo: 'bad_camera_info',
    BadInput: 'bad_reference',
    EstimatorError: 'estimator_failed',
}
_AHEAD = 8
"""Messages read in advance: bounds memory."""


@dataclass(frozen=True)
class Report:
    """What became of a bag."""

    frames: int
    """Images or left images that were there."""
    written: int
    dropped: dict[str, int]
    seconds: float
    cut_off: str
    """Why the rest of the recording could not be read; empty if all could."""


def process(
    source: Path,
    target: Path,
    settings: MonoSettings | StereoSettings,
    namespaces: Sequence[str] = ('',),
    keep_inputs: bool = False,
    mcap: bool = False,
    progress: Progress = lambda done, count: None,
) -> Report:
    """Write a bag with the depth of another one.

    Args:
        source: The recording.
        target: The new bag; must not exist.
        settings: Of ``mono_depth`` or ``stereo_depth``, which decides what is done.
        namespaces: One for each camera, of its topics and of what is written: ``/front`` for
            ``/front/left/image_rect``. All cameras share one network.
        keep_inputs: Copy the cameras' messages too.
        mcap: Write mcap instead of sqlite3.
        progress: Called for every message.

    Raises:
        BadFile: a bag is of no use, or a topic is missing.
        ModelError, BackendError: the network cannot be used.
    """
    started_s = time.monotonic()
    with closing(Bag(source)) as bag, cameras_of(bag, settings, namespaces) as cameras:
        copied = {topic for camera in cameras for topic in camera.topics} if keep_inputs else set()
        streamed = {topic for camera in cameras for topic in camera.streamed}
        counting = {camera.topics[0] for camera in cameras}
        frames, done, written = bag.count(*counting), 0, 0
        with DepthBag(target, mcap) as depth_bag, _ahead(bag, streamed, copied) as messages:
            for connection, recorded_ns, data, message in messages:
                topic = connection.topic
                done += topic in counting
                progress(done, frames)
                if topic in copied:
                    depth_bag.copy(topic, full_type(connection.msgtype), recorded_ns, data)
                for camera in cameras:
                    if message is None or topic not in camera.streamed:
                        continue
                    try:
                        seen = camera.take(topic, recorded_ns, message)
                    except tuple(_REASONS) as error:
                        bag.trouble.add(next(reason for kind, reason in _REASONS.items() if isinstance(error, kind)))
                        continue
                    if seen is not None:
                        depth_bag.write(camera.namespace, seen[1], seen[0], settings, camera.state.rays)
                        written += 1
            for camera in cameras:
                camera.finish()
        return Report(frames, written, dict(bag.trouble.counts), time.monotonic() - started_s, bag.cut_off)


_Message = tuple[Any, int, bytes, Any]


@contextmanager
def _ahead(bag: Bag, streamed: set[str], copied: set[str]) -> Iterator[Iterator[_Message]]:
    """Read on a thread of its own, a few messages in advance; what is not streamed is not deserialized (None)."""
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

    thread = Thread(target=read, name='reader', daemon=True)
    thread.start()
    try:
        yield iter(waiting.get, None)
    finally:
        stop.set()
        thread.join()
