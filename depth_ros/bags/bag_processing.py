"""The pipeline of a node applied to a bag: every frame, as fast as possible, with the original stamps.

Reading and writing run on one thread each, so that the estimator does not wait for the disk.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from threading import Event
from typing import Any

from depth_ros.bags.bag_cameras import BagCamera, open_cameras
from depth_ros.bags.bag_reader import Bag
from depth_ros.bags.bag_writer import DepthBag
from depth_ros.errors import BadInput, EstimatorError
from depth_ros.estimators.estimator import AnyEstimator
from depth_ros.messages.drop_reasons import UNUSABLE_INPUT, DropReason
from depth_ros.messages.topic_names import Remap, TopicNames
from depth_ros.settings.node_settings import NodeSettings

Progress = Callable[[int, int], None]
"""Called with the number of frames started and the total number of frames."""
_DROP_REASONS: dict[type[Exception], DropReason] = {
    **UNUSABLE_INPUT,
    BadInput: DropReason.BAD_REFERENCE,
    EstimatorError: DropReason.ESTIMATOR_FAILED,
}
"""Reason by exception type; the first type that matches applies."""
_MAX_READ_AHEAD = 8
"""Maximum number of messages read in advance; limits memory use."""


@dataclass(frozen=True)
class Segment:
    """Part of a recording, in nanoseconds of recording time.

    A frame belongs to the segment in which its last message was recorded, so that a pair is never divided.
    """

    start_ns: int
    """Time of the first message."""
    stop_ns: int | None
    """Time at which it ends; None = with the recording."""
    overlap_ns: int
    """Time before the start that is also processed, without output, to bring filters into their state."""
    is_first: bool
    """Whether it is the first segment, which counts damaged calibrations."""


@dataclass(frozen=True)
class ProcessingReport:
    """Result of processing a bag."""

    frames: int
    """Number of images, or of left images, in the recording."""
    written: int
    """Number of frames whose depth was written."""
    dropped: dict[DropReason, int]
    """Number of messages and frames that were not used, by reason."""
    seconds: float
    cut_off: str
    """Why the rest of the recording could not be read; empty if all of it was read."""
    remarks: list[str]
    """Irregularities of the recording and warnings about its cameras, one line each."""

    @property
    def failed(self) -> bool:
        """Whether the recording has frames and no depth was written."""
        return self.frames > 0 and not self.written


def process_recording(
    source: Path,
    target: Path,
    settings: NodeSettings,
    namespaces: Sequence[str] = ('',),
    keep_inputs: bool = False,
    mcap: bool = False,
    progress: Progress = lambda done, count: None,
    remaps: Sequence[Remap] = (),
    estimator: AnyEstimator | None = None,
    segment: Segment | None = None,
) -> ProcessingReport:
    """Write a bag with the depth computed from another bag.

    Args:
        source: The recording.
        target: The new bag; must not exist.
        settings: Parameters of a depth node; their type determines which node's pipeline runs.
        namespaces: Namespace of each camera's input and output topics: ``/front`` for ``/front/left/image_rect``. All
            cameras share one network.
        keep_inputs: Also copy the cameras' messages, under the names before remapping, so that ``bag check`` finds
            them.
        mcap: Write mcap instead of sqlite3.
        progress: Called for every message.
        remaps: Topic names in the recording that differ from those of the node, as ``-r from:=to``.
        estimator: Estimator that several recordings share (``load_estimator``); None = loaded for this recording.
        segment: Part of the recording to process; None = all of it.

    Raises:
        BadFile: a bag is unusable, or a topic is missing.
        ModelError, InferenceError: the network is unusable.
    """
    started_s = time.monotonic()
    names = [TopicNames(namespace, remaps) for namespace in namespaces]
    with closing(Bag(source)) as bag, open_cameras(bag, settings, names, estimator) as cameras:
        copied = {topic: name for camera in cameras for topic, name in camera.topics.items()} if keep_inputs else {}
        frame_topics = {topic for camera in cameras for topic in camera.frame_topics}
        counted_topics = {next(iter(camera.topics)) for camera in cameras}
        frames, done, written = bag.count(*counted_topics), 0, 0
        if segment is not None and not segment.is_first:
            bag.unused.counts.clear()
        with DepthBag(target, mcap) as depth_bag, _read_ahead(bag, frame_topics, set(copied), segment) as messages:
            for connection, recorded_ns, data, message in messages:
                topic = connection.topic
                if segment is not None and recorded_ns < segment.start_ns:
                    _bring_into_state(bag, cameras, topic, recorded_ns, message)
                    continue
                done += topic in counted_topics
                progress(done, frames)
                if message is None and topic in frame_topics:
                    bag.unused.add(DropReason.DAMAGED)
                if topic in copied:
                    depth_bag.copy(copied[topic], connection.msgtype, recorded_ns, data)
                for camera in cameras:
                    if message is None or topic not in camera.frame_topics:
                        continue
                    try:
                        result = camera.handle_message(topic, recorded_ns, message)
                    except tuple(_DROP_REASONS) as error:
                        bag.unused.add(next(why for kind, why in _DROP_REASONS.items() if isinstance(error, kind)))
                        continue
                    if result is not None:
                        recorded_at_ns, depth = result
                        depth_bag.write(camera.names, depth, recorded_at_ns, settings, camera.state.rays)
                        written += 1
            if segment is None or segment.stop_ns is None:
                for camera in cameras:
                    camera.finish()
        warnings = [f'{next(iter(camera.topics))}: {text}' for camera in cameras for text in camera.warnings()]
        remarks = [*bag.remarks(), *warnings]
        seconds = time.monotonic() - started_s
        if bag.cut_off:  # counted on the reading thread, at the same time as the messages before the segment
            bag.unused.counts[DropReason.REST_OF_BAG_UNREADABLE] = 1
        frames = frames if segment is None else done
        return ProcessingReport(frames, written, dict(bag.unused.counts), seconds, bag.cut_off, remarks)


def _bring_into_state(bag: Bag, cameras: Sequence[BagCamera], topic: str, recorded_ns: int, message: Any) -> None:
    """Process a message before a segment without output; what it makes unusable is counted in its own segment."""
    counts = dict(bag.unused.counts)
    for camera in cameras:
        if message is not None and topic in camera.frame_topics:
            with suppress(*_DROP_REASONS):
                camera.handle_message(topic, recorded_ns, message)
    bag.unused.counts = counts


_Message = tuple[Any, int, bytes, Any]
"""Connection, recording time in nanoseconds, serialized message, message; None for one that is not deserialized."""


@contextmanager
def _read_ahead(
    bag: Bag, frame_topics: set[str], copied: set[str], segment: Segment | None
) -> Iterator[Iterator[_Message]]:
    """Read on a separate thread, a few messages in advance; only messages of ``frame_topics`` are deserialized.

    Raises:
        BadFile: messages that the recording lists were not read; raised after the last message was processed.
    """
    queue: Queue[_Message | None] = Queue(_MAX_READ_AHEAD)
    stop = Event()

    def put(item: _Message | None) -> None:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.1)
                return
            except Full:
                continue

    start_ns = None if segment is None else segment.start_ns - segment.overlap_ns
    stop_ns = None if segment is None else segment.stop_ns

    def read() -> None:
        try:
            for connection, recorded_ns, data in bag.serialized(
                *frame_topics, *copied, start_ns=start_ns, stop_ns=stop_ns
            ):
                is_frame = connection.topic in frame_topics
                message = bag.deserialize_uncounted(data, connection.msgtype) if is_frame else None
                put((connection, recorded_ns, data, message))
                if stop.is_set():
                    return
        finally:
            put(None)

    with ThreadPoolExecutor(1, 'reader') as thread:
        reading = thread.submit(read)
        try:
            yield iter(queue.get, None)
        finally:
            stop.set()
        reading.result()
