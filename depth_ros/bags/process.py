"""The pipeline of a node over a bag: every frame, as fast as the machine allows, with the original stamps."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from depth_ros.bags.reader import IMAGES, INFO, Bag, MonoJob, StereoJob, mono_jobs, stereo_jobs
from depth_ros.bags.writer import DepthBag
from depth_ros.errors import BadCameraInfo, BadImage, EstimatorError
from depth_ros.files.ros_fields import calibration
from depth_ros.message_frames import mono_frame_of, stereo_frame_of
from depth_ros.pipeline import depth_map, mono_depth_map, mono_estimator, stereo_estimator
from depth_ros.settings import MonoSettings, StereoSettings
from depth_ros.types import DepthMap, RelativeMap

Progress = Callable[[Iterable[MonoJob | StereoJob], int], Iterable[MonoJob | StereoJob]]
_REASONS = {BadImage: 'bad_image', BadCameraInfo: 'bad_camera_info', EstimatorError: 'estimator_failed'}


@dataclass(frozen=True)
class Report:
    """What became of a bag."""

    written: int
    dropped: dict[str, int]
    seconds: float


def process(
    source: Path,
    target: Path,
    settings: MonoSettings | StereoSettings,
    namespace: str = '',
    keep_inputs: bool = False,
    mcap: bool = False,
    progress: Progress = lambda jobs, count: jobs,
) -> Report:
    """Write a bag with the depth of another one.

    Args:
        source: The recording.
        target: The new bag; must not exist.
        settings: Of ``mono_depth`` or ``stereo_depth``, which decides what is done.
        namespace: Of the camera's topics, and of what is written: ``/front`` for ``/front/left/image_rect``.
        keep_inputs: Copy the camera's messages too.
        mcap: Write mcap instead of sqlite3.
        progress: Wraps the jobs, of which it is told how many there are at most.

    Raises:
        BadFile: a bag is of no use, or a topic is missing.
        ModelError, BackendError: the network cannot be used.
    """
    started_s = time.monotonic()
    bag = Bag(source)
    try:
        jobs, see, inputs = _plan(bag, settings, namespace)
        written = 0
        with DepthBag(target, namespace, mcap) as depth_bag:
            if keep_inputs:
                for connection, recorded_ns, data in bag.serialized(*inputs):
                    depth_bag.copy(connection.topic, connection.msgtype, recorded_ns, data)
            for job in progress(jobs, bag.count(inputs[0])):
                try:
                    seen = see(job)
                except tuple(_REASONS) as error:
                    bag.trouble.add(next(reason for kind, reason in _REASONS.items() if isinstance(error, kind)))
                    continue
                depth_bag.write(seen, job.recorded_ns, settings)
                written += 1
        return Report(written, dict(bag.trouble.counts), time.monotonic() - started_s)
    finally:
        bag.close()


See = Callable[[MonoJob | StereoJob], DepthMap | RelativeMap]


def _plan(
    bag: Bag, settings: MonoSettings | StereoSettings, namespace: str
) -> tuple[Iterator[MonoJob | StereoJob], See, tuple[str, ...]]:
    """Return the jobs, what to do with each, and the topics they come from."""

    def topic(name: str) -> str:
        return f'{namespace}/{name}'

    if isinstance(settings, MonoSettings):
        mono_topics = (topic('image'), topic('camera_info'))
        bag.require({mono_topics[0]: IMAGES})
        mono = mono_estimator(settings)

        def see_one(job: MonoJob | StereoJob) -> DepthMap | RelativeMap:
            assert isinstance(job, MonoJob)
            info = calibration(job.info) if job.info is not None else None
            frame = mono_frame_of(job.image, info, settings)
            return mono_depth_map(frame, mono, settings)

        return mono_jobs(bag, *mono_topics), see_one, mono_topics
    topics = tuple(topic(f'{side}/{name}') for side in ('left', 'right') for name in ('image_rect', 'camera_info'))
    bag.require({name: (INFO,) if name.endswith('camera_info') else IMAGES for name in topics})
    stereo = stereo_estimator(settings)

    def see_pair(job: MonoJob | StereoJob) -> DepthMap:
        assert isinstance(job, StereoJob)
        if job.left_info is None or job.right_info is None:
            raise BadCameraInfo('there is no readable camera_info for a pair')
        infos = calibration(job.left_info), calibration(job.right_info)
        frame = stereo_frame_of(job.left, job.right, *infos, settings)
        return depth_map(frame, stereo, settings)

    skew_ns = round(settings.max_skew_ms * 1e6)
    return stereo_jobs(bag, topic, skew_ns, settings.accept_zero_stamps), see_pair, topics
