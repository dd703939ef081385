"""Refinement of inverse depth between the planes, by Gauss-Newton steps on the differences of normalised images."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.multiview.plane_warp import Projection
from depth_ros.types import Float32Array

_WINDOW = 9
_OUTLIER = 0.5
"""Difference of normalised values at which the weight of a pixel is half."""
_SOURCE_NOISE = 0.05
_MIN_CURVATURE = 1e-3


@dataclass(frozen=True)
class SourceGradients:
    """A normalised source image with its gradients, and where the pixels of the reference appear in it."""

    values: Float32Array
    """(H, W, 3) normalised value, and its derivatives along x and y."""
    projection: Projection

    @classmethod
    def of(cls, normalised: Float32Array, projection: Projection) -> 'SourceGradients':
        """Return a normalised image with its derivatives per pixel."""
        along_x = cv2.Scharr(normalised, cv2.CV_32F, 1, 0, scale=1 / 32)
        along_y = cv2.Scharr(normalised, cv2.CV_32F, 0, 1, scale=1 / 32)
        return cls(np.asarray(cv2.merge([normalised, along_x, along_y])), projection)


def refined(
    reference: Float32Array,
    sources: Sequence[SourceGradients],
    inverse_depth: Float32Array,
    largest_step: float,
    steps: int,
) -> Float32Array:
    """Return (H, W) inverse depths that match the reference better, 1/m.

    Args:
        reference: (H, W) normalised.
        sources: At least one.
        inverse_depth: (H, W), 1/m.
        largest_step: Largest change of an inverse depth in one step, 1/m.
        steps: Number of steps.
    """
    window = (_WINDOW, _WINDOW)
    for _ in range(steps):
        gradient = np.zeros_like(reference)
        curvature = np.full_like(reference, _MIN_CURVATURE)
        for source in sources:
            at = source.projection.at(inverse_depth)
            value, along_x, along_y = cv2.split(cv2.remap(source.values, at.x, at.y, cv2.INTER_LINEAR))
            x_per_depth, y_per_depth = at.per_inverse_depth()
            slope = along_x * x_per_depth + along_y * y_per_depth
            difference = reference - value
            squared = difference * difference
            inside = at.inside()
            weight = inside / (1 + squared * np.float32(1 / _OUTLIER**2))
            misfit = cv2.boxFilter(squared * inside, -1, window) + np.float32(_SOURCE_NOISE)
            trust = 1 / (misfit * misfit)
            weight *= slope
            gradient += trust * cv2.boxFilter(weight * difference, -1, window)
            curvature += trust * cv2.boxFilter(weight * slope, -1, window)
        inverse_depth = inverse_depth + np.clip(gradient / curvature, -largest_step, largest_step)
    return inverse_depth
