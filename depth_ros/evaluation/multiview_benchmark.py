"""Accuracy and run time of multi-view depth on sequences with poses, and comparison with the targets."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from depth_ros.estimators.estimator import MultiviewEstimator
from depth_ros.evaluation.datasets.posed_sequence import PosedFrame, PosedSequence
from depth_ros.evaluation.depth_metrics import mean_known
from depth_ros.multiview.keyframes import DEFAULT_SOURCES, KeyframeBuffer
from depth_ros.types import Float32Array

_OFF = 0.1
_NONE = float('nan')


@dataclass(frozen=True)
class MultiviewFigures:
    """Figures of one frame, or the means over frames."""

    coverage: float
    """Share of the pixels with truth, of objects that do not move, that have a depth."""
    abs_rel: float = _NONE
    """Mean of |z - z*| / z*."""
    median_error: float = _NONE
    """Median of |z - z*| / z*."""
    delta1: float = _NONE
    """Share of pixels with max(z / z*, z* / z) < 1.25."""
    off: float = _NONE
    """Share of the depths that are off by more than 10 %."""
    scale: float = _NONE
    """Median of z / z*."""
    moving_off: float = _NONE
    """Share of the pixels of moving objects whose depth is off by more than 10 %; NaN without moving objects."""
    ms: float = _NONE
    """Run time of the estimate, milliseconds."""


@dataclass(frozen=True)
class Target:
    """Smallest coverage and largest errors."""

    coverage: float
    abs_rel: float
    median_error: float = 1.0
    delta1: float = 0.0
    off: float = 1.0

    def missed(self, figures: MultiviewFigures) -> list[str]:
        """Return the names of the figures that do not reach the target."""
        low = [name for name in ('coverage', 'delta1') if not getattr(figures, name) >= getattr(self, name)]
        errors = ('abs_rel', 'median_error', 'off')
        return low + [name for name in errors if not getattr(figures, name) <= getattr(self, name)]


SIMULATOR_TARGET = Target(coverage=0.9, abs_rel=0.035, off=0.04)
NOISY_TARGET = Target(coverage=0.0, abs_rel=0.06)
RECORDED_TARGET = Target(coverage=0.6, abs_rel=0.15, median_error=0.05, delta1=0.86)


def measure_sequence(
    sequence: PosedSequence, estimator: MultiviewEstimator, warm_up: int = DEFAULT_SOURCES
) -> list[MultiviewFigures]:
    """Return the figures of the frames of a sequence, in order, as a node would estimate them.

    Frames without a usable keyframe have no depth.

    Args:
        sequence: The frames.
        estimator: The estimator.
        warm_up: The first frames, for which there are not enough keyframes yet, are not counted.
    """
    buffer = KeyframeBuffer()
    results = []
    for index, load in enumerate(sequence.frames):
        frame = load()
        sources = buffer.sources(frame.view)
        depth_m, ms = np.full(frame.truth_m.shape, np.nan, np.float32), _NONE
        if sources:
            started_s = time.perf_counter()
            depth_m = estimator.estimate(frame.view, sources).values
            ms = 1e3 * (time.perf_counter() - started_s)
        buffer.add(replace(frame.view, depth_m=depth_m if sources else None))
        if index >= warm_up:
            results.append(replace(frame_figures(depth_m, frame), ms=ms))
    return results


def frame_figures(depth_m: Float32Array, frame: PosedFrame) -> MultiviewFigures:
    """Compare the (H, W) depth of a frame with its truth."""
    has_truth = np.isfinite(frame.truth_m) & (frame.truth_m > 0)
    moving_off = _NONE
    error = np.abs(depth_m - frame.truth_m) / frame.truth_m
    if frame.moving is not None:
        moving_off = float(np.mean(error[frame.moving] > _OFF)) if frame.moving.any() else _NONE
        has_truth &= ~frame.moving
    both = has_truth & np.isfinite(depth_m)
    if not both.any():
        return MultiviewFigures(0.0, moving_off=moving_off)
    ratio = depth_m[both] / frame.truth_m[both]
    return MultiviewFigures(
        coverage=float(both.sum() / has_truth.sum()),
        abs_rel=float(error[both].mean()),
        median_error=float(np.median(error[both])),
        delta1=float(np.mean(np.maximum(ratio, 1 / ratio) < 1.25)),
        off=float(np.mean(error[both] > _OFF)),
        scale=float(np.median(ratio)),
        moving_off=moving_off,
    )


def mean_figures(figures: Sequence[MultiviewFigures]) -> MultiviewFigures:
    """Return the means over frames; frames without a figure are ignored. The run time is the median."""
    if not figures:
        return MultiviewFigures(0.0)
    means = MultiviewFigures(
        *(mean_known([getattr(each, f.name) for each in figures]) for f in fields(MultiviewFigures))
    )
    known = [each.ms for each in figures if np.isfinite(each.ms)]
    return replace(means, ms=float(np.median(known)) if known else _NONE)
