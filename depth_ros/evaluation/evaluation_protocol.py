"""Which pixels count: the crops and the cap of the benchmarks."""

from fractions import Fraction

import numpy as np

from depth_ros.types import Float32Array

CROPS: dict[str, tuple[float | Fraction, ...]] = {
    'eigen': (0.3324324, 0.91351351, 0.0359477, 0.96405229),
    'garg': (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    'nyu': (Fraction(45, 480), Fraction(471, 480), Fraction(41, 640), Fraction(601, 640)),
}
"""First and last row, first and last column, as shares. eigen, garg: of KITTI, as in Garg et al., ECCV 2016, whose code
the field copies: products are truncated to whole pixels; nyu: Eigen et al., NIPS 2014, whole pixels of 640x480."""


def counted(truth_m: Float32Array, crop: str, cap_m: float) -> Float32Array:
    """Return the truth with NaN where it does not count: outside of the crop, and beyond the cap (0 = none)."""
    kept = truth_m
    if crop:
        edges, (height, width) = CROPS[crop], truth_m.shape
        rows = [int(share * height) for share in edges[:2]]
        columns = [int(share * width) for share in edges[2:]]
        kept = np.full_like(truth_m, np.nan)
        inside = (slice(*rows), slice(*columns))
        kept[inside] = truth_m[inside]
    if cap_m:
        kept = np.where(kept <= cap_m, kept, np.float32(np.nan))
    return kept


def capped(depth_m: Float32Array, cap_m: float) -> Float32Array:
    """Return the estimate with what lies beyond the cap, or at infinity, at the cap, as the protocols clamp it."""
    return np.minimum(depth_m, np.float32(cap_m)) if cap_m else depth_m
