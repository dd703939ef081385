"""Summary of a bag: topics, rates, gaps, stamps, stereo skew and calibrations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from depth_ros.bags.bag_reader import IMAGES, INFO, Bag
from depth_ros.errors import BadCameraInfo
from depth_ros.messages.read_messages import calibration, stamp_ns
from depth_ros.messages.stamps import apart_ns
from depth_ros.stages.intrinsics import rectified_camera, stereo_rig
from depth_ros.types import Calibration

_GAP_PERIODS = 3.0
"""A pause longer than this many mean periods is a gap."""
_MS = 1e6


@dataclass(frozen=True)
class TopicInfo:
    """Statistics of one topic."""

    name: str
    type: str
    messages: int
    rate_hz: float | None
    """Messages per second over the whole recording; None for fewer than two messages."""
    longest_gap_s: float | None
    """Longest gap; None if no pause is longer than three mean periods."""
    problems: list[str] = field(default_factory=list)
    """Problems of stamps and damaged messages, one phrase each."""


@dataclass(frozen=True)
class BagInfo:
    """Summary of a bag."""

    seconds: float
    topics: list[TopicInfo]
    cameras: list[str]
    """Description of every camera that can be processed, one line each."""
    remarks: list[str] = field(default_factory=list)
    """Irregularities of the recording, one line each."""


def summarize_bag(path: Path) -> BagInfo:
    """Read a bag and summarize its contents.

    Raises:
        BadFile: the path cannot be read as a bag.
    """
    bag = Bag(path)
    try:
        stamps: dict[str, list[int]] = {}
        infos: dict[str, Calibration] = {}
        topics = []
        unreadable = bag.unreadable()
        for name, kind in sorted({(c.topic, c.msgtype) for c in bag.connections}):
            recorded: list[int] = []
            problems: list[str] = []
            has_stamps = (kind in IMAGES or kind == INFO) and name not in unreadable
            if has_stamps:
                stamps[name] = []
            for connection, recorded_ns, data in bag.serialized(name):
                recorded.append(recorded_ns)
                message = bag.deserialize(data, connection.msgtype) if has_stamps else None
                if message is None:
                    continue
                stamps[name].append(stamp_ns(message.header.stamp))
                if kind == INFO and name not in infos:
                    infos[name] = calibration(message)
            if has_stamps:
                problems = _stamp_problems(stamps[name], recorded)
                if damaged := len(recorded) - len(stamps[name]):
                    problems.append(f'{damaged} damaged')
            topics.append(TopicInfo(name, kind, len(recorded), *_rate_and_gap(recorded, bag.duration_ns), problems))
        return BagInfo(bag.duration_ns / 1e9, topics, _cameras(stamps, infos), bag.remarks())
    finally:
        bag.close()


def _rate_and_gap(recorded_ns: Sequence[int], duration_ns: int) -> tuple[float | None, float | None]:
    """Return the rate in Hz and the longest gap in seconds; None where not defined.

    The rate is the mean over the whole recording, because messages may be recorded in bursts (static transforms,
    services): the median period, or the time from the first to the last message, would give a wrong rate.
    """
    if len(recorded_ns) < 2 or not duration_ns:
        return None, None
    periods_s = np.diff(recorded_ns) / 1e9
    rate_hz, longest_s = periods_s.size / (duration_ns / 1e9), float(periods_s.max())
    is_gap = longest_s > max(_GAP_PERIODS * periods_s.mean(), 1 / rate_hz)
    return rate_hz, (longest_s if is_gap else None)


def _stamp_problems(stamps: Sequence[int], recorded_ns: Sequence[int]) -> list[str]:
    problems = []
    if zero := sum(stamp == 0 for stamp in stamps):
        problems.append(f'{zero} without a stamp')
    if len(stamps) > 1 and (backwards := int((np.diff(stamps) < 0).sum())):
        problems.append(f'stamps go back {backwards} times')
    if len(stamps) > 1 and (same := int((np.diff(stamps) == 0).sum())):
        problems.append(f'{same} duplicate stamps')
    if stamps and len(stamps) == len(recorded_ns):
        delay_s = float(np.median(np.subtract(recorded_ns, stamps))) / 1e9
        if abs(delay_s) > 1.0 and any(stamps):
            problems.append(f'stamps are {delay_s:.1f} s before the recording time: check that the clocks agree')
    return problems


def _cameras(stamps: dict[str, list[int]], infos: dict[str, Calibration]) -> list[str]:
    """Return a description of every stereo or mono camera of a bag."""
    cameras = []
    for topic in stamps:
        if topic.endswith('/left/image_rect') and topic.replace('/left/', '/right/') in stamps:
            namespace = topic.removesuffix('/left/image_rect')
            details = f'{_skew(stamps, topic)}; {_stereo_calibration(namespace, infos)}'
            cameras.append(f'stereo under {namespace or "/"}: {details}')
        elif topic.endswith('/image'):
            namespace = topic.removesuffix('/image')
            cameras.append(f'mono under {namespace or "/"}: {_mono_calibration(f"{namespace}/camera_info", infos)}')
    return cameras


def _skew(stamps: dict[str, list[int]], left_topic: str) -> str:
    left, right = stamps[left_topic], stamps[left_topic.replace('/left/', '/right/')]
    if not left or not right:
        return 'no images'
    skew_ms = apart_ns(left, right) / _MS
    return f'left and right are {np.median(skew_ms):.1f} ms apart (median), {skew_ms.max():.1f} ms at most'


def _stereo_calibration(namespace: str, infos: dict[str, Calibration]) -> str:
    sides = [infos.get(f'{namespace}/{side}/camera_info') for side in ('left', 'right')]
    if sides[0] is None or sides[1] is None:
        return 'a camera_info is missing'
    try:
        rig = stereo_rig(sides[0], sides[1], sides[0].width, sides[0].height)
    except BadCameraInfo as error:
        return f'unusable calibration: {error}'
    return f'baseline {rig.baseline_m:.3f} m, fx {rig.left.fx:.0f} px'


def _mono_calibration(topic: str, infos: dict[str, Calibration]) -> str:
    if topic not in infos:
        return 'no camera_info: no points, and no metres from networks that need the focal length'
    try:
        camera = rectified_camera(infos[topic], infos[topic].width, infos[topic].height)
    except BadCameraInfo as error:
        return f'unusable calibration: {error}'
    return f'fx {camera.fx:.0f} px'
