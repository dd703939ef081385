"""Rays through the pixels of a camera, for the projection of depth to points."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from depth_ros.geometry import pixel_slopes
from depth_ros.types import AnyArray, Camera, Float32Array

_STRIDES = 3
"""Strides in use at the same time: for the cloud, the clearing rays and the scan."""


@dataclass(frozen=True)
class Slopes:
    """Rays at a depth of 1."""

    x: Float32Array
    """(h, w) x / z."""
    y: Float32Array
    """(h, w) y / z."""


@dataclass(frozen=True)
class Sectors:
    """The horizontal field of view, divided into sectors of equal angle."""

    index: AnyArray
    """(h, w) index of the sector of every pixel."""
    angle_min_rad: float
    angle_increment_rad: float
    count: int


class PixelRays:
    """Rays of one camera; each table is computed once and kept until the intrinsics, the pitch or the stride change.

    With ``stride`` n, a table has every n-th row and column of the image. The results are shared: do not modify them.
    """

    def __init__(self) -> None:
        self.slopes = lru_cache(maxsize=_STRIDES)(_slopes)
        """Return ``Slopes`` for (camera, stride)."""
        self.forward = lru_cache(maxsize=_STRIDES)(partial(_forward, self.slopes))
        """Return (h, w) horizontal distance forward at a depth of 1, for (camera, pitch_rad, stride)."""
        self.sectors = lru_cache(maxsize=1)(partial(_sectors, self.slopes, self.forward))
        """Return ``Sectors`` for (camera, pitch_rad, stride)."""


def _slopes(camera: Camera, stride: int) -> Slopes:
    return Slopes(*pixel_slopes(camera, np.arange(0, camera.width, stride), np.arange(0, camera.height, stride)))


def _forward(slopes: Callable[[Camera, int], Slopes], camera: Camera, pitch_rad: float, stride: int) -> Float32Array:
    c, s = np.float32(np.cos(pitch_rad)), np.float32(np.sin(pitch_rad))
    return np.asarray(np.maximum(c - s * slopes(camera, stride).y, np.float32(1e-3)))


def _sectors(
    slopes: Callable[[Camera, int], Slopes],
    forward: Callable[[Camera, float, int], Float32Array],
    camera: Camera,
    pitch_rad: float,
    stride: int,
) -> Sectors:
    angles = np.arctan2(-slopes(camera, stride).x, forward(camera, pitch_rad, stride))
    low, high = float(angles.min()), float(angles.max())
    max_step = float(np.abs(np.diff(angles, axis=1)).max())  # every sector contains a pixel
    count = max(int((high - low) / max_step), 1) + 1
    increment = (high - low) / (count - 1)
    return Sectors(np.rint((angles - low) / increment).astype(np.intp), low, increment, count)
