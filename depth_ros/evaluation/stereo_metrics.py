"""Accuracy of a depth map or disparity compared with a ground-truth disparity."""

from dataclasses import dataclass

import numpy as np

from depth_ros.types import Float32Array


@dataclass(frozen=True)
class StereoAccuracy:
    """Coverage and accuracy of a depth map, over the pixels that have ground truth."""

    valid_fraction: float
    """Share of ground-truth pixels with a finite depth."""
    bad2_fraction: float
    """Share of the valid pixels with a disparity error above 2 px (Middlebury bad 2.0, of valid pixels)."""
    median_abs_rel: float
    """Median of |z - z*| / z* over the valid pixels."""


def stereo_accuracy(
    depth_m: Float32Array, truth_px: Float32Array, focal_px: float, baseline_m: float, offset_px: float
) -> StereoAccuracy:
    """Compare (H, W) depth with (H, W) raw true disparity (NaN = unknown); ``offset_px`` = cx_left - cx_right."""
    has_truth = np.isfinite(truth_px)
    both = has_truth & np.isfinite(depth_m)
    if not both.any():
        return StereoAccuracy(0.0, 1.0, float('inf'))
    depth, truth = depth_m[both], truth_px[both]
    disparity = focal_px * baseline_m / depth + offset_px
    true_depth = focal_px * baseline_m / (truth - offset_px)
    return StereoAccuracy(
        valid_fraction=float(both.sum() / has_truth.sum()),
        bad2_fraction=float(np.mean(np.abs(disparity - truth) > 2.0)),
        median_abs_rel=float(np.median(np.abs(depth - true_depth) / true_depth)),
    )


@dataclass(frozen=True)
class DisparityAccuracy:
    """Disparity metrics of the stereo benchmarks; shares refer to all pixels with truth."""

    epe_px: float
    """End-point error: mean of |d - d*| over the pixels that are known in both; NaN if there are none."""
    bad1: float
    """Share with an error above 1 px; unknown pixels are not counted (Scharstein et al., GCPR 2014: evaldisp)."""
    bad2: float
    """Share with an error above 2 px."""
    bad4: float
    """Share with an error above 4 px."""
    d1_all: float
    """Share with an error above 3 px and 5 % (Menze and Geiger, CVPR 2015); unknown pixels count as errors, because
    no interpolation is applied."""


def disparity_accuracy(disparity_px: Float32Array, truth_px: Float32Array) -> DisparityAccuracy:
    """Compare (H, W) disparity with (H, W) true disparity; NaN and Inf = unknown."""
    has_truth = np.isfinite(truth_px)
    count = max(int(has_truth.sum()), 1)
    both = has_truth & np.isfinite(disparity_px)
    truth = truth_px[both].astype(np.float64)
    error = np.abs(disparity_px[both] - truth)

    def bad(limit_px: float) -> float:
        return float((error > limit_px).sum() / count)

    wrong = int(((error > 3.0) & (error > 0.05 * truth)).sum()) + int(has_truth.sum() - both.sum())
    epe_px = float(error.mean()) if error.size else float('nan')
    return DisparityAccuracy(epe_px, bad(1.0), bad(2.0), bad(4.0), wrong / count)
