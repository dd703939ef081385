"""Evaluation protocol: the alignment, crop and depth cap used by benchmarks."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from depth_ros.evaluation.alignment import Alignment
from depth_ros.types import Float32Array

CROPS: dict[str, tuple[float | Fraction, ...]] = {
    'eigen': (0.3324324, 0.91351351, 0.0359477, 0.96405229),
    'garg': (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    'nyu': (Fraction(45, 480), Fraction(471, 480), Fraction(41, 640), Fraction(601, 640)),
}
"""First and last row, first and last column, as fractions of the image size; the products are truncated to whole
pixels. eigen, garg: crops for KITTI, as in the code of Garg et al., ECCV 2016; nyu: Eigen et al., NIPS 2014, whole
pixels of 640x480."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """How the estimate is compared with the truth."""

    align: Alignment = 'none'
    crop: str = ''
    """Key of ``CROPS``; empty = whole image."""
    cap_m: float = 0.0
    """Largest true depth that is evaluated; 0 = no cap."""


def mask_truth(truth_m: Float32Array, crop: str, cap_m: float) -> Float32Array:
    """Return the truth with NaN outside of the crop and beyond the cap (0 = no cap)."""
    masked = truth_m
    if crop:
        edges, (height, width) = CROPS[crop], truth_m.shape
        rows = [int(fraction * height) for fraction in edges[:2]]
        columns = [int(fraction * width) for fraction in edges[2:]]
        masked = np.full_like(truth_m, np.nan)
        inside = (slice(*rows), slice(*columns))
        masked[inside] = truth_m[inside]
    if cap_m:
        masked = np.where(masked <= cap_m, masked, np.float32(np.nan))
    return masked


def clamp_depth(depth_m: Float32Array, cap_m: float) -> Float32Array:
    """Return the estimate clamped to the cap, including infinite depth; 0 = no cap."""
    return np.minimum(depth_m, np.float32(cap_m)) if cap_m else depth_m
