"""Figures of one depth map against a ground-truth disparity."""

from dataclasses import dataclass

import numpy as np

from depth_ros.types import Float32Array


@dataclass(frozen=True)
class StereoAccuracy:
    """What share is measured, and how well; over the pixels that have ground truth."""

    valid_fraction: float
    """Share of ground-truth pixels with a finite depth."""
    bad2_fraction: float
    """Share of those that are off by more than 2 px of disparity (Middlebury's bad 2.0, of valid pixels)."""
    median_abs_rel: float
    """Median of |z - z*| / z* over those."""


def stereo_accuracy(
    depth_m: Float32Array, truth_px: Float32Array, focal_px: float, baseline_m: float, offset_px: float
) -> StereoAccuracy:
    """Compare (H, W) depth with (H, W) raw ground-truth disparity (NaN = none); ``offset_px`` = cx_left - cx_right."""
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
