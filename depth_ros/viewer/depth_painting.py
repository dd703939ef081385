"""Points → the few that are sent, and their colours."""

from typing import Literal

import cv2
import numpy as np

from depth_ros.types import AnyArray, Float32Array, UInt8Array

Coloring = Literal['image', 'height', 'distance']
_GREY = 180


def thinned(points: AnyArray, most: int) -> AnyArray:
    """Return at most so many points, evenly from all of them, without those that are not finite.

    Args:
        points: (N,) structured with x, y, z (and rgb).
        most: At least 1.
    """
    finite: AnyArray = points[np.isfinite(points['z'])]
    some: AnyArray = finite[:: max(-(-finite.size // most), 1)]
    return some


def positions(points: AnyArray) -> Float32Array:
    """Return (N, 3) metres in the optical frame."""
    return np.stack([points['x'], points['y'], points['z']], axis=1).astype(np.float32, copy=False)


def colors(points: AnyArray, by: Coloring) -> UInt8Array:
    """Return (N, 3) RGB: as the image has them, or near to far, or low to high (red to blue, turbo).

    Points without a colour of their own are grey.
    """
    if by == 'image':
        if 'rgb' not in (points.dtype.names or ()):
            return np.full((points.size, 3), _GREY, np.uint8)
        packed = np.ascontiguousarray(points['rgb'], np.float32).view(np.uint32)
        return np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)
    values = -points['z'] if by == 'distance' else points['y']
    if not values.size:
        return np.empty((0, 3), np.uint8)
    low, high = np.percentile(values[:: max(values.size // 5000, 1)], (2, 98))
    levels = np.clip((values - low) * (255.0 / max(float(high - low), 1e-6)), 0, 255).astype(np.uint8)
    bgr = cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_TURBO).reshape(-1, 3)
    return np.ascontiguousarray(bgr[:, ::-1])
