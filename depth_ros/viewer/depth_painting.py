"""Selection and colours of the points that are sent to the browser."""

from typing import Literal

import cv2
import numpy as np

from depth_ros.types import AnyArray, Float32Array, UInt8Array

Coloring = Literal['image', 'height', 'distance']
_GREY = 180


def thinned(points: AnyArray, max_points: int) -> AnyArray:
    """Return at most ``max_points`` finite points, evenly selected.

    Args:
        points: (N,) structured array with x, y, z (and rgb).
        max_points: Maximum number of points, at least 1.
    """
    finite: AnyArray = points[np.isfinite(points['z'])]
    selected: AnyArray = finite[:: max(-(-finite.size // max_points), 1)]
    return selected


def positions(points: AnyArray) -> Float32Array:
    """Return the coordinates of points as (N, 3) metres in the optical frame."""
    return np.stack([points['x'], points['y'], points['z']], axis=1).astype(np.float32, copy=False)


def colors(points: AnyArray, by: Coloring) -> UInt8Array:
    """Return the colours of points as (N, 3) RGB.

    Args:
        points: (N,) structured array with x, y, z (and rgb).
        by: ``image`` uses the field rgb, or grey if there is none; ``distance`` and ``height`` use the turbo colour
            map, from red (near or low) to blue (far or high).
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
