"""Probability that the depth of a pixel is right, from its match in the sources and the depth of earlier keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.multiview.plane_warp import Projection, SourcePixels
from depth_ros.types import Float32Array

_WINDOW = 7
_NOISE_VARIANCE = 9.0
MIN_PARALLAX_PX = 1.5
"""Pixels with less parallax in every source that shows them are unknown."""
_SURROUNDINGS, _LOWEST_CORRELATION, _CLEAR_CONTRAST = 15, 0.5, 6.0
"""Regions with clear contrast that match nowhere show an object that has moved on its own, or are hidden in the
sources."""
_AGREEMENT = 0.08
"""Largest relative difference of two depths of the same point."""
UNSEEN = -1.0


@dataclass(frozen=True)
class Evidence:
    """What supports the depth of each pixel; each (H, W)."""

    correlation: Float32Array
    """Correlation with the sources, -1 to 1, mean of the best two; ``UNSEEN`` where no source shows the pixel."""
    parallax_px: Float32Array
    """Largest distance from the pixel of a point at infinity, over the sources that show the pixel."""
    roughness: Float32Array
    """Relative spread of the inverse depth in a small window."""
    agreeing: Float32Array
    """Number of sources whose own depth, estimated earlier, agrees."""
    conflicting: Float32Array
    """Number of sources that saw a farther surface through the pixel's point."""
    contrast: Float32Array
    """Standard deviation of the grey values around the pixel."""
    uniqueness: Float32Array
    """How much worse the best of the other planes is, 0 = equally good."""


@dataclass(frozen=True)
class CheckedSource:
    """A source with which a depth map is compared."""

    grey: Float32Array
    """(H, W)."""
    projection: Projection
    depth_m: Float32Array | None
    """(H, W) depth of the source, estimated earlier; None if it was not estimated."""


def evidence(
    grey: Float32Array, sources: Sequence[CheckedSource], inverse_depth: Float32Array, uniqueness: Float32Array
) -> Evidence:
    """Return what supports a depth map.

    Args:
        grey: (H, W) reference.
        sources: At least one.
        inverse_depth: (H, W), 1/m.
        uniqueness: (H, W) of ``path_aggregation.uniqueness``.
    """
    best = np.full_like(grey, UNSEEN)
    second = np.full_like(grey, UNSEEN)
    parallax_px, agreeing, conflicting = (np.zeros_like(grey) for _ in range(3))
    mean = cv2.boxFilter(grey, -1, (_WINDOW, _WINDOW))
    variance = cv2.sqrBoxFilter(grey, -1, (_WINDOW, _WINDOW)) - mean * mean
    for source in sources:
        at = source.projection.at(inverse_depth)
        inside = at.inside()
        found = np.where(inside > 0, _correlation(grey, mean, variance, source.grey, at), UNSEEN)
        second = np.maximum(second, np.minimum(best, found))
        best = np.maximum(best, found)
        moved = np.hypot(*at.per_inverse_depth()) * inverse_depth
        np.maximum(parallax_px, moved * inside, out=parallax_px)
        if source.depth_m is not None:
            earlier = cv2.remap(source.depth_m, at.x, at.y, cv2.INTER_NEAREST, borderValue=float('nan'))
            ratio = earlier * inverse_depth * at.inverse_z  # earlier depth / depth of the point in the source
            agreeing += np.abs(ratio - 1) < _AGREEMENT
            conflicting += ratio > 1 + 2 * _AGREEMENT
    correlation = np.where(second == UNSEEN, best, (best + second) / 2)
    kernel = np.ones((5, 5), np.uint8)
    spread = cv2.dilate(inverse_depth, kernel) - cv2.erode(inverse_depth, kernel)
    contrast = np.sqrt(np.maximum(variance, 0))
    return Evidence(correlation, parallax_px, spread / inverse_depth, agreeing, conflicting, contrast, uniqueness)


def _correlation(
    grey: Float32Array, mean: Float32Array, variance: Float32Array, source: Float32Array, at: SourcePixels
) -> Float32Array:
    """Return the normalised correlation with the source in windows of 7x7, -1 to 1."""
    window = (_WINDOW, _WINDOW)
    warped = cv2.remap(source, at.x, at.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    other_mean = cv2.boxFilter(warped, -1, window)
    other_variance = cv2.sqrBoxFilter(warped, -1, window) - other_mean * other_mean
    covariance = cv2.boxFilter(grey * warped, -1, window) - mean * other_mean
    scale = np.sqrt(np.maximum(variance, 0) * np.maximum(other_variance, 0)) + np.float32(_NOISE_VARIANCE)
    return np.asarray(covariance / scale, np.float32)


_CONSTANT = -1.74
_OF_CORRELATION, _OF_PARALLAX, _OF_ROUGHNESS, _OF_UNIQUENESS = 1.80, 0.33, -1.19, 0.99
_OF_AGREEING, _OF_CONFLICTING, _OF_CONTRAST = 1.29, -0.71, -0.17


def confidence(found: Evidence) -> Float32Array:
    """Return the (H, W) probability that the depth is right to 10 %, 0 to 1; 0 where it was not measured.

    Logistic regression on simulated sequences, with exact and with noisy poses, and on a hand-held recording.
    """
    odds = (
        _CONSTANT
        + _OF_CORRELATION * np.maximum(found.correlation, 0)
        + _OF_PARALLAX * np.log(np.clip(found.parallax_px, 1, 20))
        + _OF_ROUGHNESS * np.minimum(found.roughness, 1)
        + _OF_AGREEING * np.minimum(found.agreeing, 2)
        + _OF_CONFLICTING * np.minimum(found.conflicting, 2)
        + _OF_CONTRAST * np.log(np.clip(found.contrast, 1, 30))
        + _OF_UNIQUENESS * np.clip(found.uniqueness, 0, 1.5)
    )
    around = cv2.boxFilter(np.maximum(found.correlation, 0), -1, (_SURROUNDINGS, _SURROUNDINGS))
    mismatch = (around < _LOWEST_CORRELATION) & (found.contrast > _CLEAR_CONTRAST)
    measured = (found.correlation > 0) & (found.parallax_px >= MIN_PARALLAX_PX) & ~mismatch
    return np.where(measured, 1 / (1 + np.exp(-odds)), 0).astype(np.float32)
