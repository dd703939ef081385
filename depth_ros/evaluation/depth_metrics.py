"""Accuracy of a depth map compared with the true depth."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from depth_ros.types import Float32Array

UNKNOWN = float('nan')


@dataclass(frozen=True)
class DepthAccuracy:
    """Depth metrics over the pixels that are valid in both maps; NaN if there are none. z: estimate, z*: truth.

    Definitions: Eigen, Puhrsch, Fergus, "Depth map prediction from a single image", NIPS 2014; SILog: KITTI depth
    benchmark.
    """

    valid_share: float
    """Share of the pixels with truth that have a finite depth."""
    abs_rel: float = UNKNOWN
    """Mean of |z - z*| / z*."""
    sq_rel: float = UNKNOWN
    """Mean of (z - z*)² / z*, metres."""
    rmse_m: float = UNKNOWN
    """Root of the mean of (z - z*)²."""
    rmse_log: float = UNKNOWN
    """Root of the mean of (ln z - ln z*)²."""
    silog: float = UNKNOWN
    """100 times the standard deviation of ln z - ln z*; independent of the scale of z."""
    log10: float = UNKNOWN
    """Mean of |log10 z - log10 z*|."""
    delta1: float = UNKNOWN
    """Share of pixels with max(z / z*, z* / z) < 1.25."""
    delta2: float = UNKNOWN
    """Share of pixels with max(z / z*, z* / z) < 1.25²."""
    delta3: float = UNKNOWN
    """Share of pixels with max(z / z*, z* / z) < 1.25³."""


def depth_accuracy(depth_m: Float32Array, truth_m: Float32Array) -> DepthAccuracy:
    """Compare (H, W) depth with (H, W) true depth, metres; values that are NaN, Inf or not positive are ignored."""
    has_truth = np.isfinite(truth_m) & (truth_m > 0)
    both = has_truth & np.isfinite(depth_m) & (depth_m > 0)
    if not both.any():
        return DepthAccuracy(0.0)
    z, truth = depth_m[both].astype(np.float64), truth_m[both].astype(np.float64)
    error, log_error = z - truth, np.log(z) - np.log(truth)
    ratio = np.maximum(z / truth, truth / z)
    return DepthAccuracy(
        valid_share=float(both.sum() / has_truth.sum()),
        abs_rel=float(np.mean(np.abs(error) / truth)),
        sq_rel=float(np.mean(error**2 / truth)),
        rmse_m=float(np.sqrt(np.mean(error**2))),
        rmse_log=float(np.sqrt(np.mean(log_error**2))),
        silog=float(100 * np.std(log_error)),
        log10=float(np.mean(np.abs(log_error)) / np.log(10)),
        delta1=float(np.mean(ratio < 1.25)),
        delta2=float(np.mean(ratio < 1.25**2)),
        delta3=float(np.mean(ratio < 1.25**3)),
    )


def mean_accuracy(accuracies: Sequence[DepthAccuracy]) -> DepthAccuracy:
    """Return the mean over images, as the benchmarks do; the mean of a figure ignores images where it is NaN."""
    if not accuracies:
        return DepthAccuracy(0.0)
    return DepthAccuracy(*(mean_known([getattr(a, f.name) for a in accuracies]) for f in fields(DepthAccuracy)))


def mean_known(values: Sequence[float]) -> float:
    """Return the mean of the finite values; NaN if there are none."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else UNKNOWN
