"""What a recording of depth is worth, in numbers, and whether they keep limits."""

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
    'damaged': 'messages that cannot be read',
    'rate_hz': 'depth images a second, over the whole recording',
    'longest_gap_s': 'longest time between two depth images',
    'age_p50_ms': 'time of recording minus stamp, median',
    'age_p99_ms': 'time of recording minus stamp, 99th percentile',
    'drop_share': 'input images without a depth image of their stamp',
    'valid_share': 'pixels with a finite depth, mean over frames',
    'valid_share_worst': 'pixels with a finite depth, in the worst frame',
    'flicker': 'median relative change of a pixel from one frame to the next; includes motion',
    'compared_share': 'depth images with a reference near in time',
    'abs_rel': 'mean relative error against the reference',
    'rmse_m': 'root mean square error against the reference',
    'delta1': 'pixels within 25 % of the reference',
    'covered_share': 'pixels of the reference that have a depth',
}
_OF_A_REFERENCE = ('compared_share', 'abs_rel', 'rmse_m', 'delta1', 'covered_share')
_INPUTS = ('left/image_rect', 'image')
_RECENT = 50
"""References that wait for their depth image, and the other way round."""
_EACH = 8
"""Flicker looks at every eighth pixel of every eighth row."""


@dataclass(frozen=True)
class LimitResult:
    """A limit and what was found."""

    figure: str
    value: float | None
    """None: it could not be measured."""
    kind: Literal['min', 'max']
    limit: float
    kept: bool

    def words(self) -> str:
        """Say it."""
        value = 'not measured' if self.value is None else f'{self.value:.4g}'
        relation = 'at least' if self.kind == 'min' else 'at most'
        text = f'{self.figure} is {value}; expected {relation} {self.limit:g}'
        if self.value is None and self.figure == 'drop_share':
            return f'{text}. The recording has no input images: use bag process --keep-inputs'
        if self.value is None and self.figure in _OF_A_REFERENCE:
            return f'{text}. Nothing to compare with: give --reference, with stamps within --max-apart-ms'
        return text


@dataclass(frozen=True)
class Reference:
    """What depth is compared with."""

    topic: str
    bag: Path | None = None
    """None: the same bag."""
    max_apart_ms: float = 20.0


def measure(path: Path, namespace: str = '', reference: Reference | None = None) -> dict[str, float | None]:
    """Return the figures of a bag's depth images; those that cannot be measured are None.

    Raises:
        BadFile: a bag is of no use, or has no such topic.
    """
    bag = Bag(path)
    other = Bag(reference.bag) if reference is not None and reference.bag is not None else None
    try:
        topic = f'{namespace}/depth/image_rect'
        bag.require({topic: IMAGES[:1]})
        if reference is not None:
            if other is None and reference.topic not in bag.types():
                raise BadFile(
                    f'{path} has no topic {reference.topic}. Name the recording that has it: '
                    f'--reference RECORDING:{reference.topic}'
                )
            (other or bag).require({reference.topic: IMAGES[:1]})
        seen = _Seen(reference.max_apart_ms * 1e6 if reference else 0.0)
        for is_reference, recorded_ns, message in _in_order(bag, topic, other, reference):
            try:
                values = depth_m(message)
            except BadImage:
                bag.trouble.add(DropReason.DAMAGED)
                continue
            stamp = stamp_ns(message.header.stamp)
            if is_reference:
                seen.add_reference(stamp, values)
            else:
                seen.add(stamp, recorded_ns, values)
        damaged = sum((each.trouble.counts.get(DropReason.DAMAGED, 0) for each in (bag, other) if each), start=0)
        inputs = next((name for each in _INPUTS if bag.count(name := f'{namespace}/{each}')), None)
        taken = {stamp_ns(m.header.stamp) for _, _, m in bag.messages(inputs)} if inputs else set()
        return seen.figures(taken) | {'damaged': float(damaged)}
    finally:
        bag.close()
        if other is not None:
            other.close()


def _in_order(bag: Bag, topic: str, other: Bag | None, reference: Reference | None) -> Iterator[tuple[bool, int, Any]]:
    """Yield whether it is a reference, time of recording and message, by that time."""
    if reference is None or other is None:
        topics = (topic, reference.topic) if reference else (topic,)
        return ((name != topic, at, message) for name, at, message in bag.messages(*topics))
    references = ((True, at, message) for _, at, message in other.messages(reference.topic))
    depths = ((False, at, message) for _, at, message in bag.messages(topic))
    return heapq.merge(references, depths, key=lambda each: each[1])


class _Seen:
    """Collects what the figures are made of."""

    def __init__(self, max_apart_ns: float) -> None:
        self._max_apart_ns = max_apart_ns
        self._stamps: list[int] = []
        self._recorded_ns: list[int] = []
        self._valid: list[float] = []
        self._flicker: list[float] = []
        self._before: Float32Array | None = None
        self._depths: dict[int, Float32Array] = {}
        self._references: dict[int, Float32Array] = {}
        self._accuracies: dict[int, Any] = {}

    def add(self, stamp: int, recorded_ns: int, values: Float32Array) -> None:
        """Take a depth image."""
        self._stamps.append(stamp)
        self._recorded_ns.append(recorded_ns)
        finite = np.isfinite(values)
        self._valid.append(float(finite.mean()))
        some = values[::_EACH, ::_EACH]
        if self._before is not None and self._before.shape == some.shape:
            with np.errstate(invalid='ignore'):
                change = np.abs(some - self._before) / self._before
            known = change[np.isfinite(change)]
            if known.size:
                self._flicker.append(float(np.median(known)))
        self._before = some
        self._remember(self._depths, stamp, values)
        near = self._nearest(self._references, stamp)
        if near is not None:
            self._compare(stamp, values, self._references[near])

    def add_reference(self, stamp: int, values: Float32Array) -> None:
        """Take a reference; it may come after its depth image."""
        self._remember(self._references, stamp, values)
        for each in self._depths:
            if abs(each - stamp) <= self._max_apart_ns and each not in self._accuracies:
                self._compare(each, self._depths[each], values)

    def _compare(self, stamp: int, values: Float32Array, reference: Float32Array) -> None:
        if values.shape != reference.shape:
            raise BadFile(
                f'the depth images are {values.shape[1]}x{values.shape[0]} and the reference {reference.shape[1]}x'
                f'{reference.shape[0]}; expected the same size'
            )
        self._accuracies[stamp] = depth_accuracy(values, reference)

    def _nearest(self, kept: Mapping[int, Float32Array], stamp: int) -> int | None:
        near = min(kept, key=lambda each: abs(each - stamp), default=None)
        return near if near is not None and abs(near - stamp) <= self._max_apart_ns else None

    def _remember(self, kept: dict[int, Float32Array], stamp: int, values: Float32Array) -> None:
        kept[stamp] = values
        if len(kept) > _RECENT:
            kept.pop(next(iter(kept)))

    def figures(self, taken: set[int]) -> dict[str, float | None]:
        """Return all figures; ``taken`` are the stamps of the input images, if they are in the bag."""
        count = len(self._stamps)
        found: dict[str, float | None] = {**dict.fromkeys(FIGURES), 'frames': float(count)}
        if taken:
            found['drop_share'] = 1 - len(taken & set(self._stamps)) / len(taken)
        if not count:
            return found
        gaps_s = np.diff(self._recorded_ns) / 1e9
        if gaps_s.size and gaps_s.sum() > 0:
            found |= {'rate_hz': gaps_s.size / float(gaps_s.sum()), 'longest_gap_s': float(gaps_s.max())}
        age_ms = np.subtract(self._recorded_ns, self._stamps) / 1e6
        found |= {f'age_p{p}_ms': float(np.percentile(age_ms, p)) for p in (50, 99)}
        found |= {'valid_share': float(np.mean(self._valid)), 'valid_share_worst': min(self._valid)}
        found['flicker'] = mean_known(self._flicker) if self._flicker else None
        if self._accuracies:
            mean = mean_accuracy(list(self._accuracies.values()))
            found['compared_share'] = len(self._accuracies) / count
            found['covered_share'] = mean.valid_share
            if mean.valid_share:
                found |= {name: float(getattr(mean, name)) for name in ('abs_rel', 'rmse_m', 'delta1')}
        return found


def judge(figures: Mapping[str, float | None], limits: Mapping[str, Mapping[str, float]]) -> list[LimitResult]:
    """Return one verdict a limit; what could not be measured breaks it."""
    verdicts = []
    for figure, bounds in limits.items():
        for kind, limit in bounds.items():
            value = figures[figure]
            kept = value is not None and (value >= limit if kind == 'min' else value <= limit)
            verdicts.append(LimitResult(figure, value, 'min' if kind == 'min' else 'max', limit, kept))
    return verdicts


def read_limits(path: Path) -> dict[str, dict[str, float]]:
    """Read limits: ``valid_share: {min: 0.8}``, ``age_p99_ms: {max: 100}`` and so on.

    Raises:
        BadFile: it cannot be read, or a figure or bound is not known.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadFile(f'{path} cannot be read as limits: {error}') from error
    if not isinstance(content, dict) or not content:
        raise BadFile(f'{path} holds no limits; expected lines such as valid_share: {{min: 0.8}}')
    for figure, bounds in content.items():
        if figure not in FIGURES:
            raise BadFile(f"{path}: unknown figure '{figure}'; {did_you_mean(str(figure), FIGURES)}")
        wrong = not isinstance(bounds, dict) or not bounds or not bounds.keys() <= {'min', 'max'}
        if wrong or not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in bounds.values()):
            raise BadFile(f'{path}: {figure} is {bounds!r}; expected {{min: NUMBER}}, {{max: NUMBER}}, or both')
    return content
