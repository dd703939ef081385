"""Long recordings in segments: where they are cut, and how their results become one recording again."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from depth_ros.bags.bag_processing import Segment
from depth_ros.bags.bag_reader import Bag
from depth_ros.bags.bag_writer import DepthBag
from depth_ros.errors import BadFile
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.networks.catalog import find_manifest
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, NodeSettings, StereoSettings

_OVERLAP_S = 10.0
"""Longer than pairing waits at 1 Hz, and the duration of the tf buffer."""
_OVERLAP_OF_SMOOTHED_S = 30.0
"""Enough for the means of the temporal filter, the scale and the limits of relative depth to forget their start."""
_OVERLAP_OF_ROWS_S = 120.0
"""Sixty measurements of the rows, each with a weight of 0.3."""


def overlap_s(settings: NodeSettings) -> float:
    """Return how long before a segment processing begins, so that its result is that of the uncut recording.

    Without state between frames (pairing only), the result is the same, byte by byte. Running means forget their start
    exponentially (docs/fleet.md).

    Raises:
        BadManifest: the model is unknown.
    """
    if isinstance(settings, StereoSettings) and settings.align_rows:
        return _OVERLAP_OF_ROWS_S
    if isinstance(settings, MultiviewSettings):
        return max(settings.keyframe_max_age_s, _OVERLAP_OF_SMOOTHED_S)
    is_scaled = isinstance(settings, MonoSettings) and (
        settings.scale_source != 'none' or not find_manifest(settings.model)[0].metric_by_itself
    )
    return _OVERLAP_OF_SMOOTHED_S if settings.filter_temporal or is_scaled else _OVERLAP_S


def segments_of(source: Path, length_s: float, overlap: float) -> list[Segment]:
    """Return the segments of a recording, each ``length_s`` long; one if the recording is shorter.

    Raises:
        BadFile: the recording cannot be read.
    """
    with closing(Bag(source)) as bag:
        start_ns, duration_ns = bag.start_ns, bag.duration_ns
    length_ns = round(length_s * 1e9)
    starts = range(start_ns, start_ns + max(duration_ns, 1), length_ns)
    return [
        Segment(start, None if start == starts[-1] else start + length_ns, round(overlap * 1e9), start == starts[0])
        for start in starts
    ]


def join_bags(parts: Sequence[Path], target: Path, mcap: bool) -> None:
    """Write the messages of several bags, one bag after the other, to a new bag.

    Raises:
        BadFile: a bag is unusable.
    """
    with DepthBag(target, mcap) as joined:
        for part in parts:
            with closing(Bag(part)) as bag:
                for connection, recorded_ns, data in bag.serialized(*bag.types()):
                    joined.copy(connection.topic, connection.msgtype, recorded_ns, data)
                if bag.cut_off:
                    raise BadFile(f'{part} cannot be read: {bag.cut_off}. Remove it, and run the command again')


def joined_report(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the ``ProcessingReport`` of a recording from those of its segments, as a dictionary."""
    dropped: dict[str, int] = {}
    for report in reports:
        for reason, count in report['dropped'].items():
            dropped[reason] = dropped.get(reason, 0) + count
    cut_off = next((each['cut_off'] for each in reports if each['cut_off']), '')
    if cut_off:  # the same place is found by every segment after it
        dropped[DropReason.REST_OF_BAG_UNREADABLE] = 1
    return {
        'frames': sum(each['frames'] for each in reports),
        'written': sum(each['written'] for each in reports),
        'dropped': dropped,
        'seconds': sum(each['seconds'] for each in reports),
        'cut_off': cut_off,
        'remarks': list(dict.fromkeys(remark for each in reports for remark in each['remarks'])),
    }
