"""Checks recorded depth against limits: figures of a recording, and their comparison with limits."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from depth_ros.bags.bag_reader import IMAGES, Bag
from depth_ros.errors import BadFile, BadImage
from depth_ros.evaluation.depth_metrics import depth_accuracy, mean_accuracy, mean_known
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.read_messages import depth_m, stamp_ns
from depth_ros.settings.parameter_table import did_you_mean
from depth_ros.types import Float32Array

FIGURES = {
    'frames': 'depth images',
    'damaged': 'unreadable messages',
    'rate_hz': 'depth images per second, over the whole recording',
    'longest_gap_s': 'longest time between two depth images',
    'age_p50_ms': 'recording time minus stamp, median',
    'age_p99_ms': 'recording time minus stamp, 99th percentile',
    'drop_share': 'input images without a depth image with the same stamp',
    'valid_share': 'pixels with a finite depth, mean over frames',
    'valid_share_worst': 'pixels with a finite depth, in the worst frame',
    'flicker': 'median relative change of a pixel from one frame to the next; includes motion',
    'compared_share': 'depth images with a reference close in time',
    'abs_rel': 'mean relative error against the reference',
    'rmse_m': 'root mean square error against the reference',
    'delta1': 'pixels within 25 % of the reference',
    'covered_share': 'pixels of the reference that have a depth',
}
_REFERENCE_FIGURES = ('compared_share', 'abs_rel', 'rmse_m', 'delta1', 'covered_share')
_INPUTS = ('left/image_rect', 'image')
_MAX_WAITING = 50
"""Maximum number of depth images, and of references, that are kept until their counterpart is read."""
_FLICKER_STEP = 8
"""Flicker is measured at every eighth pixel of every eighth row."""


@dataclass(frozen=True)
class LimitResult:
    """Result of checking one limit."""

    figure: str
    value: float | None
    """Measured value; None if it could not be measured."""
    kind: Literal['min', 'max']
    limit: float
    kept: bool
    """Whether the value is within the limit."""

    def describe(self) -> str:
        """Return a description of the result, with what to do if the figure could not be measured."""
        value = 'not measured' if self.value is None else f'{self.value:.4g}'
        relation = 'at least' if self.kind == 'min' else 'at most'
        text = f'{self.figure} is {value}; expected {relation} {self.limit:g}'
        if self.value is None and self.figure == 'drop_share':
            return f'{text}. The recording has no input images: create it with bag process --keep-inputs'
        if self.value is None and self.figure in _REFERENCE_FIGURES:
            return f'{text}. No reference: give --reference, with stamps within --max-apart-ms'
        return text


@dataclass(frozen=True)
class Reference:
    """Reference depth for the comparison."""

    topic: str
    bag: Path | None = None
    """Recording with the topic; None = the recording being checked."""
    max_apart_ms: float = 20.0


def measure(path: Path, namespace: str = '', reference: Reference | None = None) -> dict[str, float | None]:
    """Return the figures of the depth images of a bag; figures that cannot be measured are None.

    Raises:
        BadFile: a bag is unusable, or a topic is missing.
    """
    bag = Bag(path)
    other = Bag(reference.bag) if reference is not None and reference.bag is not None else None
    try:
        topic = f'{namespace}/depth/image_rect'
        bag.require({topic: IMAGES[:1]})
        if reference is not None:
            if other is None and reference.topic not in bag.types():
                raise BadFile(
                    f'{path} has no topic {reference.topic}. Specify the recording that contains it: '
                    f'--reference RECORDING:{reference.topic}'
                )
            (other or bag).require({reference.topic: IMAGES[:1]})
        collector = _FigureCollector(reference.max_apart_ms * 1e6 if reference else 0.0)
        for is_reference, recorded_ns, message in _merged_messages(bag, topic, other, reference):
            try:
                values = depth_m(message)
            except BadImage:
                bag.unused.add(DropReason.DAMAGED)
                continue
            stamp = stamp_ns(message.header.stamp)
            if is_reference:
                collector.add_reference(stamp, values)
            else:
                collector.add(stamp, recorded_ns, values)
        damaged = sum((each.unused.counts.get(DropReason.DAMAGED, 0) for each in (bag, other) if each), start=0)
        input_topic = next((name for each in _INPUTS if bag.count(name := f'{namespace}/{each}')), None)
        input_stamps = {stamp_ns(m.header.stamp) for _, _, m in bag.messages(input_topic)} if input_topic else set()
        return collector.figures(input_stamps) | {'damaged': float(damaged)}
    finally:
        bag.close()
        if other is not None:
            other.close()


def _merged_messages(
    bag: Bag, topic: str, other: Bag | None, reference: Reference | None
) -> Iterator[tuple[bool, int, Any]]:
    """Yield whether a message is a reference, its recording time, and the message, in the order of recording."""
    if reference is None or other is None:
        topics = (topic, reference.topic) if reference else (topic,)
        return ((name != topic, recorded_ns, message) for name, recorded_ns, message in bag.messages(*topics))
    references = ((True, recorded_ns, message) for _, recorded_ns, message in other.messages(reference.topic))
    depths = ((False, recorded_ns, message) for _, recorded_ns, message in bag.messages(topic))
    return heapq.merge(references, depths, key=lambda each: each[1])


class _FigureCollector:
    """Collects the values from which the figures are computed."""

    def __init__(self, max_apart_ns: float) -> None:
        self._max_apart_ns = max_apart_ns
        self._stamps: list[int] = []
        self._recorded_ns: list[int] = []
        self._valid: list[float] = []
        self._flicker: list[float] = []
        self._previous: Float32Array | None = None
        self._depths: dict[int, Float32Array] = {}
        self._references: dict[int, Float32Array] = {}
        self._accuracies: dict[int, Any] = {}

    def add(self, stamp: int, recorded_ns: int, values: Float32Array) -> None:
        """Add a depth image: (H, W) metres, NaN = unknown."""
        self._stamps.append(stamp)
        self._recorded_ns.append(recorded_ns)
        finite = np.isfinite(values)
        self._valid.append(float(finite.mean()))
        sampled = values[::_FLICKER_STEP, ::_FLICKER_STEP]
        if self._previous is not None and self._previous.shape == sampled.shape:
            with np.errstate(invalid='ignore'):
                change = np.abs(sampled - self._previous) / self._previous
            known = change[np.isfinite(change)]
            if known.size:
                self._flicker.append(float(np.median(known)))
        self._previous = sampled
        self._keep(self._depths, stamp, values)
        nearest = self._nearest(self._references, stamp)
        if nearest is not None:
            self._compare(stamp, values, self._references[nearest])

    def add_reference(self, stamp: int, values: Float32Array) -> None:
        """Add a reference; it may have been recorded after its depth image."""
        self._keep(self._references, stamp, values)
        for depth_stamp, depth in self._depths.items():
            if abs(depth_stamp - stamp) <= self._max_apart_ns and depth_stamp not in self._accuracies:
                self._compare(depth_stamp, depth, values)

    def _compare(self, stamp: int, values: Float32Array, reference: Float32Array) -> None:
        if values.shape != reference.shape:
            raise BadFile(
                f'the depth images are {values.shape[1]}x{values.shape[0]} and the reference {reference.shape[1]}x'
                f'{reference.shape[0]}; expected the same size'
            )
        self._accuracies[stamp] = depth_accuracy(values, reference)

    def _nearest(self, waiting: Mapping[int, Float32Array], stamp: int) -> int | None:
        nearest = min(waiting, key=lambda each: abs(each - stamp), default=None)
        return nearest if nearest is not None and abs(nearest - stamp) <= self._max_apart_ns else None

    def _keep(self, waiting: dict[int, Float32Array], stamp: int, values: Float32Array) -> None:
        waiting[stamp] = values
        if len(waiting) > _MAX_WAITING:
            waiting.pop(next(iter(waiting)))

    def figures(self, input_stamps: set[int]) -> dict[str, float | None]:
        """Return all figures; ``input_stamps`` are the stamps of the input images, empty if the bag has none."""
        count = len(self._stamps)
        figures: dict[str, float | None] = {**dict.fromkeys(FIGURES), 'frames': float(count)}
        if input_stamps:
            figures['drop_share'] = 1 - len(input_stamps & set(self._stamps)) / len(input_stamps)
        if not count:
            return figures
        gaps_s = np.diff(self._recorded_ns) / 1e9
        if gaps_s.size and gaps_s.sum() > 0:
            figures |= {'rate_hz': gaps_s.size / float(gaps_s.sum()), 'longest_gap_s': float(gaps_s.max())}
        age_ms = np.subtract(self._recorded_ns, self._stamps) / 1e6
        figures |= {f'age_p{p}_ms': float(np.percentile(age_ms, p)) for p in (50, 99)}
        figures |= {'valid_share': float(np.mean(self._valid)), 'valid_share_worst': min(self._valid)}
        figures['flicker'] = mean_known(self._flicker) if self._flicker else None
        if self._accuracies:
            mean = mean_accuracy(list(self._accuracies.values()))
            figures['compared_share'] = len(self._accuracies) / count
            figures['covered_share'] = mean.valid_share
            if mean.valid_share:
                figures |= {name: float(getattr(mean, name)) for name in ('abs_rel', 'rmse_m', 'delta1')}
        return figures


def check_limits(figures: Mapping[str, float | None], limits: Mapping[str, Mapping[str, float]]) -> list[LimitResult]:
    """Return the result of every limit; a limit whose figure could not be measured is not kept."""
    results = []
    for figure, bounds in limits.items():
        for kind, limit in bounds.items():
            value = figures[figure]
            kept = value is not None and (value >= limit if kind == 'min' else value <= limit)
            results.append(LimitResult(figure, value, 'min' if kind == 'min' else 'max', limit, kept))
    return results


def read_limits(path: Path) -> dict[str, dict[str, float]]:
    """Read limits: ``valid_share: {min: 0.8}``, ``age_p99_ms: {max: 100}`` and so on.

    Raises:
        BadFile: the file cannot be read, or a figure or bound is unknown.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadFile(f'{path} cannot be read as limits: {error}') from error
    if not isinstance(content, dict) or not content:
        raise BadFile(f'{path} contains no limits; expected lines such as valid_share: {{min: 0.8}}')
    for figure, bounds in content.items():
        if figure not in FIGURES:
            raise BadFile(f"{path}: unknown figure '{figure}'; {did_you_mean(str(figure), FIGURES)}")
        valid = isinstance(bounds, dict) and bounds and bounds.keys() <= {'min', 'max'}
        if not valid or any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in bounds.values()):
            raise BadFile(f'{path}: {figure} is {bounds!r}; expected {{min: NUMBER}}, {{max: NUMBER}}, or both')
    return content
