"""Depth in the two encodings of REP 118: metres, or 16-bit millimetres."""

import numpy as np
import numpy.typing as npt

from depth_ros.types import AnyArray, Float32Array

_MAX_M = 65.535


def to_millimetres(depth_m: Float32Array) -> npt.NDArray[np.uint16]:
    """Round depth to millimetres; 0 where it is not finite, not positive, or more than 65.535 m."""
    with np.errstate(invalid='ignore'):
        fits = (depth_m > 0) & (depth_m <= _MAX_M)
    return np.where(fits, depth_m * np.float32(1000.0) + np.float32(0.5), 0).astype(np.uint16)


def encoded(depth_m: Float32Array, encoding: str) -> AnyArray:
    """Return depth in the encoding of a depth image: 32FC1 (metres, unchanged) or 16UC1 (millimetres)."""
    return to_millimetres(depth_m) if encoding == '16UC1' else depth_m
