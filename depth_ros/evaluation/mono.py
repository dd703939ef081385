"""Figures of depth from one image, against exact depth."""

from dataclasses import dataclass

import numpy as np

from depth_ros.types import Float32Array


@dataclass(frozen=True)
class MonoAccuracy:
    """After Eigen et al., "Depth map prediction from a single image", NIPS 2014; over pixels that both maps know."""

    valid_fraction: float
    """Share of the pixels with truth that have a finite depth."""
    abs_rel: float
    """Mean of |z - z*| / z*."""
    delta1: float
    """Share with max(z / z*, z* / z) < 1.25."""


def mono_accuracy(depth_m: Float32Array, truth_m: Float32Array) -> MonoAccuracy:
    """Compare (H, W) depth with (H, W) true depth, metres; NaN and Inf do not count."""
    has_truth = np.isfinite(truth_m)
    both = has_truth & np.isfinite(depth_m) & (depth_m > 0)
    if not both.any():
        return MonoAccuracy(0.0, float('inf'), 0.0)
    z, truth = depth_m[both].astype(np.float64), truth_m[both].astype(np.float64)
    return MonoAccuracy(
        valid_fraction=float(both.sum() / has_truth.sum()),
        abs_rel=float(np.mean(np.abs(z - truth) / truth)),
        delta1=float(np.mean(np.maximum(z / truth, truth / z) < 1.25)),
    )
