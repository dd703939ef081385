"""Comparison of stereo matchers on pairs with true disparity: accuracy, run time and reliability of the confidence."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_ros.errors import BadFile, BadInput, EstimatorError
from depth_ros.evaluation.benchmark_matchers import REFERENCE, BenchmarkMatcher
from depth_ros.evaluation.confidence_reliability import ConfidenceReliability
from depth_ros.evaluation.datasets.disparity_folders import find_disparity_folders
from depth_ros.evaluation.datasets.find_dataset import find_dataset
from depth_ros.evaluation.datasets.middlebury_datasets import find_middlebury
from depth_ros.evaluation.datasets.sample import Dataset, Sample
from depth_ros.evaluation.depth_metrics import mean_known
from depth_ros.evaluation.matching_accuracy import MatchingAccuracy, matching_accuracy
from depth_ros.evaluation.motorcycle_pair import load_motorcycle
from depth_ros.types import Float32Array, RawDisparity, UInt8Array

_STEP = 16
"""The number of disparities of OpenCV's matchers is a multiple of this."""


@dataclass(frozen=True)
class MatcherFigures(MatchingAccuracy):
    """Accuracy and run time of one matcher on one pair, or the means over the pairs."""

    ms: float = float('nan')
    """Run time, milliseconds; the median of the repetitions."""
    time_ratio: float = float('nan')
    """Run time divided by that of SGBM 3-way on the same pair."""


@dataclass(frozen=True)
class BenchmarkPair:
    """Results of all matchers on one pair."""

    name: str
    size: tuple[int, int]
    """Width and height, pixels."""
    disparities: int
    """Number of disparities that every matcher searched, from 0."""
    truth_pixels: int
    """Number of pixels with true disparity."""
    figures: dict[str, MatcherFigures]
    """By name of the matcher."""
    failed: dict[str, str]
    """Reason of the failure, by name of the matcher."""


@dataclass
class StereoBenchmark:
    """Results of a benchmark."""

    pairs: list[BenchmarkPair] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Reason why a pair could not be read, by name of the pair."""
    reliability: dict[str, ConfidenceReliability] = field(default_factory=dict)
    """By name of the matcher; only matchers that return a confidence."""

    def means(self) -> dict[str, MatcherFigures]:
        """Return the mean of every figure over the pairs on which it is known, by name of the matcher."""
        names = dict.fromkeys(name for pair in self.pairs for name in pair.figures)
        return {name: _mean([pair.figures[name] for pair in self.pairs if name in pair.figures]) for name in names}


@dataclass(frozen=True)
class MatchedPair:
    """Images and disparities of one pair, for the page."""

    result: BenchmarkPair
    left: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    truth_px: Float32Array
    """(H, W); NaN = unknown."""
    disparities_px: dict[str, Float32Array]
    """(H, W) by name of the matcher; NaN = unknown."""


def find_pairs(path: str) -> Dataset:
    """Return the pairs with true disparity at a path: disparity folders, or a layout of ``depth-ros eval``.

    Occluded pixels are not masked. An empty path is the Motorcycle pair of scikit-image.

    Raises:
        BadFile: there are none.
    """
    if not path:
        pair = load_motorcycle()
        name, truth_px = 'motorcycle', pair.disparity_px
        sample = Sample(name, pair.left, pair.left_calibration, pair.right, pair.right_calibration, truth_px=truth_px)
        return Dataset('scikit-image', [(name, lambda: sample)], 1)
    root = Path(path)
    folders = (find_disparity_folders(root) or find_middlebury(root, visible_only=False)) if root.is_dir() else None
    try:
        dataset = folders or find_dataset(path, stereo=True)
    except BadFile as error:
        raise BadFile(
            f'{error}\n  or folders with left.png, right.png and disparity.png (.pfm, .npy), as depth-ros bench '
            'stereo --help describes'
        ) from error
    if not dataset.count:
        raise BadFile(f'{path} ({dataset.layout}) has no pair with true disparity: {"; ".join(dataset.remarks)}')
    return dataset


def run_benchmark(
    datasets: Iterable[Dataset],
    matchers: list[BenchmarkMatcher],
    max_disparity: int | None,
    repeat: int,
    on_pair: Callable[[MatchedPair], None] = lambda pair: None,
) -> Iterator[StereoBenchmark]:
    """Run every matcher on every pair; yield the results after each pair, the same object each time.

    The matchers take turns, so that changes of the machine's load affect all of them, and are created anew for every
    run, so that none can use what it has seen before. Their figures are those of the first run.

    Args:
        datasets: The pairs. One that cannot be read is recorded as failed.
        matchers: The matchers; one of them is the reference of the run times.
        max_disparity: Number of disparities to search, rounded up to a multiple of 16; None = that of the dataset, or
            as many as the largest true disparity requires.
        repeat: Number of runs of each matcher.
        on_pair: Receives the images and disparities of every pair.
    """
    benchmark = StereoBenchmark()
    for dataset in datasets:
        for name, load in dataset.entries:
            try:
                sample = load()
                truth_px = sample.disparity_px()
                if not np.isfinite(truth_px).any():
                    raise BadFile(f'{name} has no pixel with true disparity')
            except BadInput as error:
                benchmark.failed[name] = str(error)
            else:
                count = search_range(truth_px, max_disparity or sample.max_disparity)
                matched = _run_pair(sample, truth_px, count, matchers, repeat, benchmark.reliability)
                benchmark.pairs.append(matched.result)
                on_pair(matched)
            yield benchmark


def search_range(truth_px: Float32Array, wanted: int | None) -> int:
    """Return the number of disparities to search: a multiple of 16, at least ``wanted``.

    Without a wanted number, it covers the largest true disparity and one more on both sides.
    """
    least = wanted or int(np.nanmax(truth_px)) + 3
    return _STEP * -(-least // _STEP)


def _run_pair(
    sample: Sample,
    truth_px: Float32Array,
    disparities: int,
    matchers: list[BenchmarkMatcher],
    repeat: int,
    reliability: dict[str, ConfidenceReliability],
) -> MatchedPair:
    assert sample.right is not None, 'checked by Sample.disparity_px'
    images = sample.image, sample.right
    times_ms: dict[str, list[float]] = {}
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for _ in range(repeat):
        for matcher in matchers:
            if matcher.name in failed:
                continue
            try:
                with matcher.prepare(*images, disparities) as match:
                    ms, result = _timed(match)
            except (EstimatorError, cv2.error) as error:
                failed[matcher.name] = ' '.join(str(error).split())
                continue
            times_ms.setdefault(matcher.name, []).append(ms)
            results.setdefault(matcher.name, result)
    disparities_px = {m.name: m.read(results[m.name]) for m in matchers if m.name in results}
    for name, result in results.items():
        if isinstance(result, RawDisparity) and result.confidence is not None:
            reliability.setdefault(name, ConfidenceReliability()).add(result.disparity_px, result.confidence, truth_px)
    height, width = truth_px.shape
    known = int(np.isfinite(truth_px).sum())
    figures = _figures(disparities_px, truth_px, {name: float(np.median(values)) for name, values in times_ms.items()})
    pair = BenchmarkPair(sample.name, (width, height), disparities, known, figures, failed)
    return MatchedPair(pair, sample.image, truth_px, disparities_px)


def _timed(match: Callable[[], Any]) -> tuple[float, Any]:
    started_s = time.perf_counter()
    result = match()
    return 1e3 * (time.perf_counter() - started_s), result


def _figures(
    disparities_px: Mapping[str, Float32Array], truth_px: Float32Array, ms: Mapping[str, float]
) -> dict[str, MatcherFigures]:
    reference_ms = ms.get(REFERENCE, float('nan'))
    return {
        name: MatcherFigures(
            **asdict(matching_accuracy(disparity_px, truth_px)), ms=ms[name], time_ratio=ms[name] / reference_ms
        )
        for name, disparity_px in disparities_px.items()
    }


def _mean(figures: list[MatcherFigures]) -> MatcherFigures:
    means = {f.name: mean_known([getattr(each, f.name) for each in figures]) for f in fields(MatcherFigures)}
    return replace(figures[0], **means)
