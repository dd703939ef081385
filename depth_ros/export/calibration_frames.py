"""Frames of a user for quantisation: of a folder of images, or of a recording as the node prepares them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile, BadInput
from depth_ros.files.image_files import list_image_files, read_image_file
from depth_ros.messages.topic_names import TopicNames
from depth_ros.pipeline import mono_frame
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.types import DepthEstimate, Frame, RawDisparity, StereoFrame

MIN_FRAMES = 8
HELD_OUT_SHARE = 0.25


@dataclass(frozen=True)
class QuantizationFrames:
    """Frames for calibration and, after them in the recording, others for the comparison."""

    calibration: Sequence[Frame | StereoFrame]
    held_out: Sequence[Frame | StereoFrame]


def split_frames(frames: Sequence[Frame | StereoFrame], source: Path) -> QuantizationFrames:
    """Hold out the last quarter of the frames, because neighbours of calibration frames would be too similar to them.

    Raises:
        BadFile: there are fewer than ``MIN_FRAMES`` frames.
    """
    if len(frames) < MIN_FRAMES:
        raise BadFile(
            f'{source} has {len(frames)} usable frames; expected at least {MIN_FRAMES}, of which a quarter is held out '
            'for the comparison. Use about 100 frames that show what the camera will see'
        )
    held_out = round(len(frames) * HELD_OUT_SHARE)
    return QuantizationFrames(frames[:-held_out], frames[-held_out:])


def frames_of_images(folder: Path, limit: int) -> list[Frame | StereoFrame]:
    """Return the images of a folder, at most ``limit`` of them, evenly spread over the sorted names.

    Raises:
        BadFile: the folder has no images, or one is unreadable.
        BadImage: an image is too small.
    """
    paths = list_image_files(folder)
    return [mono_frame(read_image_file(paths[i]), None, MonoSettings()) for i in _spread(len(paths), limit)]


def frames_of_bag(
    path: Path, settings: MonoSettings | StereoSettings, names: TopicNames, limit: int
) -> list[Frame | StereoFrame]:
    """Return frames of a recording as the node passes them to its network, at most ``limit``, evenly spread.

    Args:
        path: Folder of the recording.
        settings: Parameters of the node; those that affect its images are used, such as ``rectify``.
        names: Topics of the camera.
        limit: Largest number of frames.

    Raises:
        BadFile: the recording is unusable, a topic is missing, or no frame is usable.
    """
    from depth_ros.bags.bag_cameras import MonoBagCamera, StereoBagCamera, set_up_cameras  # needs the extra bags
    from depth_ros.bags.bag_reader import Bag

    with closing(Bag(path)) as bag:
        mono, stereo = _MonoCollector(), _StereoCollector()
        camera = (
            MonoBagCamera(bag, names, settings, mono)
            if isinstance(settings, MonoSettings)
            else StereoBagCamera(bag, names, settings, stereo)
        )
        set_up_cameras(bag, [camera])
        collected = mono if isinstance(settings, MonoSettings) else stereo
        collected.wanted = set(_spread(bag.count(next(iter(camera.topics))), limit))
        unusable = ''
        for topic, recorded_ns, message in bag.messages(*camera.frame_topics):
            try:
                camera.handle_message(topic, recorded_ns, message)
            except BadInput as error:
                unusable = f': {error}'
        if not collected.frames:
            raise BadFile(f'{path} has no usable frame on {" and ".join(camera.frame_topics)}{unusable}')
        return collected.frames


def _spread(count: int, limit: int) -> list[int]:
    """Return at most ``limit`` of the indices 0 … count - 1, evenly spread."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, limit)).round()})


@dataclass
class _Collector:
    """In place of an estimator: keeps the wanted frames and returns an empty result."""

    name: str = 'frames for quantisation'
    frames: list[Frame | StereoFrame] = field(default_factory=list)
    wanted: set[int] = field(default_factory=set)
    seen: int = 0

    def keep(self, frame: Frame | StereoFrame) -> None:
        if self.seen in self.wanted:
            self.frames.append(frame)
        self.seen += 1

    def cancel(self) -> None:
        """Do nothing: no estimate runs."""

    def close(self) -> None:
        """Do nothing."""


class _MonoCollector(_Collector):
    def estimate(self, frame: Frame) -> DepthEstimate:
        self.keep(frame)
        return DepthEstimate(np.full(frame.image.shape[:2], np.nan, np.float32), 'relative_depth', None)


class _StereoCollector(_Collector):
    def estimate(self, frame: StereoFrame) -> RawDisparity:
        self.keep(frame)
        return RawDisparity(np.full(frame.left.shape[:2], np.nan, np.float32), None, 0.0, 1.0)
