"""Datasets from the simulator and from recordings."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample
from depth_ros.files.calibration_files import stereo_calibration
from depth_ros.messages.calibration_lookup import CalibrationLookup, keep_camera_info
from depth_ros.messages.read_messages import depth_m, image_pixels, stamp_ns
from depth_ros.messages.topic_names import TopicNames
from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.world import make_world
from depth_ros.types import Calibration, Camera

_WIDTH, _HEIGHT, _FOCAL_PX, _BASELINE_M, _CAMERA_HEIGHT_M = 640, 480, 512.0, 0.1, 0.5
_SIM_FRAMES = 20
_ROUND_S = 30.0
"""Time of one round through the simulated world."""
_MAX_WAITING = 50
"""Maximum number of stamps of a bag that wait for the rest of their messages."""


def simulated_dataset(text: str) -> Dataset | None:
    """Return images along one round through a simulated world; None if ``text`` does not begin with ``sim:``.

    Args:
        text: ``sim:SEED`` or ``sim:SEED:FRAMES``, such as ``sim:1:50`` for 50 images of the world with seed 1.

    Raises:
        BadFile: the seed or the number of frames is not a number.
    """
    if not text.startswith('sim:'):
        return None
    try:
        seed, count = ([int(part) for part in text.split(':')[1:]] + [_SIM_FRAMES])[:2]
    except ValueError:
        raise BadFile(f"the dataset is '{text}'; expected sim:SEED or sim:SEED:FRAMES with whole numbers") from None
    world = make_world(seed)
    camera = Camera(_WIDTH, _HEIGHT, _FOCAL_PX, _FOCAL_PX, _WIDTH / 2 - 0.5, _HEIGHT / 2 - 0.5)
    k = (_FOCAL_PX, 0.0, camera.cx, 0.0, _FOCAL_PX, camera.cy, 0.0, 0.0, 1.0)
    infos = stereo_calibration(_WIDTH, _HEIGHT, k, k, _BASELINE_M)

    def entry(index: int) -> Entry:
        def load() -> Sample:
            pose = world.pose_at(_ROUND_S * index / count)
            left, truth = render(world, pose, RobotMount(_CAMERA_HEIGHT_M, left_m=_BASELINE_M / 2), camera)
            right, _ = render(world, pose, RobotMount(_CAMERA_HEIGHT_M, left_m=-_BASELINE_M / 2), camera)
            return Sample(f'{index:04d}', left, infos[0], right, infos[1], truth)

        return f'{index:04d}', load

    return Dataset('sim', [entry(i) for i in range(count)], count)


def bag_dataset(path: Path, names: TopicNames, stereo: bool, truth_topic: str) -> Dataset:
    """Return the images of a bag that have a true depth image with the same stamp.

    Raises:
        BadFile: the bag cannot be read, or a topic is missing.
    """
    from depth_ros.bags.bag_reader import IMAGES, INFO, Bag

    bag = Bag(path)
    images = ('left/image_rect', 'right/image_rect') if stereo else ('image',)
    infos = ('left/camera_info', 'right/camera_info') if stereo else ('camera_info',)
    image_topics, info_topics = ([names(topic) for topic in topics] for topics in (images, infos))
    truth_topic = names(truth_topic)
    bag.require(dict.fromkeys(image_topics, IMAGES) | {truth_topic: IMAGES[:1]})
    bag.require(dict.fromkeys(info_topics, (INFO,)) if stereo else {})
    calibrations: dict[str, CalibrationLookup[Calibration]] = {topic: CalibrationLookup() for topic in info_topics}
    for topic, _, message in bag.messages(*info_topics):
        keep_camera_info(calibrations[topic], message)

    def entries() -> Iterator[Entry]:
        waiting: dict[int, dict[str, Any]] = {}
        for topic, _, message in bag.messages(*image_topics, truth_topic):
            stamp = stamp_ns(message.header.stamp)
            parts = waiting.setdefault(stamp, {})
            parts[topic] = message
            if len(parts) == len(image_topics) + 1:
                yield str(stamp), partial(sample, stamp, waiting.pop(stamp))
            elif len(waiting) > _MAX_WAITING:
                waiting.pop(next(iter(waiting)))
        bag.close()

    def sample(stamp: int, parts: dict[str, Any]) -> Sample:
        sample_infos = [calibrations[topic].at(stamp) for topic in info_topics]
        pixels = [image_pixels(parts[topic]) for topic in image_topics]
        truth = depth_m(parts[truth_topic])
        if not stereo:
            return Sample(str(stamp), pixels[0], sample_infos[0], truth_m=truth)
        return Sample(str(stamp), pixels[0], sample_infos[0], pixels[1], sample_infos[1], truth)

    return Dataset('bag', entries(), bag.count(truth_topic), tuple(bag.remarks()))
