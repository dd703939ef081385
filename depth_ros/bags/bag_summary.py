"""What a person needs to know of a bag before it is processed: rates, gaps, stamps, skew, calibrations."""

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
    """One topic."""

    name: str
    type: str
    messages: int
    rate_hz: float | None
    """Messages per second over the whole recording; None for fewer than two."""
    longest_gap_s: float | None
    """None if no pause is longer than three mean periods."""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BagInfo:
    """A bag."""

    seconds: float
    topics: list[TopicInfo]
    cameras: list[str]
    """What can be processed, in words: one line a camera."""
    remarks: list[str] = field(default_factory=list)
    """What is unusual about the recording, one line each."""


def look(path: Path) -> BagInfo:
    """Read a bag and say what it holds.

    Raises:
        BadFile: it cannot be read as a bag.
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
            stamped = (kind in IMAGES or kind == INFO) and name not in unreadable
            if stamped:
                stamps[name] = []
            for connection, recorded_ns, data in bag.serialized(name):
                recorded.append(recorded_ns)
                message = bag.deserialize(data, connection.msgtype) if stamped else None
                if message is None:
                    continue
                stamps[name].append(stamp_ns(message.header.stamp))
                if kind == INFO and name not in infos:
                    infos[name] = calibration(message)
            if stamped:
                problems = _stamp_problems(stamps[name], recorded)
                if damaged := len(recorded) - len(stamps[name]):
                    problems.append(f'{damaged} damaged')
            topics.append(TopicInfo(name, kind, len(recorded), *_rhythm(recorded, bag.duration_ns), problems))
        return BagInfo(bag.duration_ns / 1e9, topics, _cameras(stamps, infos), bag.remarks())
    finally:
        bag.close()


def _rhythm(recorded_ns: Sequence[int], duration_ns: int) -> tuple[float | None, float | None]:
    """Return rate and longest gap.

    Messages may come in bursts (static transforms, services), so the rate is a mean over the whole recording: neither
    the median period nor the time from the first message to the last says how many messages per second there are.
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
        problems.append(f'{same} stamps twice')
    if stamps and len(stamps) == len(recorded_ns):
        late_s = float(np.median(np.subtract(recorded_ns, stamps))) / 1e9
        if abs(late_s) > 1.0 and any(stamps):
            problems.append(f'stamps are {late_s:.1f} s before the recording: two clocks?')
    return problems


def _cameras(stamps: dict[str, list[int]], infos: dict[str, Calibration]) -> list[str]:
    found = []
    for topic in stamps:
        if topic.endswith('/left/image_rect') and topic.replace('/left/', '/right/') in stamps:
            namespace = topic.removesuffix('/left/image_rect')
            found.append(f'stereo under {namespace or "/"}: {_skew(stamps, topic)}; {_rig(namespace, infos)}')
        elif topic.endswith('/image'):
            namespace = topic.removesuffix('/image')
            found.append(f'mono under {namespace or "/"}: {_lens(f"{namespace}/camera_info", infos)}')
    return found


def _skew(stamps: dict[str, list[int]], left_topic: str) -> str:
    left, right = stamps[left_topic], stamps[left_topic.replace('/left/', '/right/')]
    if not left or not right:
        return 'no images'
    nearest = apart_ns(left, right)
    return f'left and right are {np.median(nearest) / _MS:.1f} ms apart (median), {nearest.max() / _MS:.1f} ms at most'


def _rig(namespace: str, infos: dict[str, Calibration]) -> str:
    sides = [infos.get(f'{namespace}/{side}/camera_info') for side in ('left', 'right')]
    if sides[0] is None or sides[1] is None:
        return 'a camera_info is missing'
    try:
        rig = stereo_rig(sides[0], sides[1], sides[0].width, sides[0].height)
    except BadCameraInfo as error:
        return f'calibration of no use: {error}'
    return f'baseline {rig.baseline_m:.3f} m, fx {rig.left.fx:.0f} px'


def _lens(topic: str, infos: dict[str, Calibration]) -> str:
    if topic not in infos:
        return 'no camera_info, so no points, and no metres from networks that need the focal length'
    try:
        camera = rectified_camera(infos[topic], infos[topic].width, infos[topic].height)
    except BadCameraInfo as error:
        return f'calibration of no use: {error}'
    return f'fx {camera.fx:.0f} px'
