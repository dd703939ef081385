"""Metres → the 16-bit millimetres of REP 118."""

import numpy as np
import numpy.typing as npt

from depth_ros.types import AnyArray, Float32Array

_LARGEST_M = 65.535


def to_millimetres(depth_m: Float32Array) -> npt.NDArray[np.uint16]:
    """Round depth to millimetres; 0 where it is not finite, not positive, or does not fit (more than 65.535 m)."""
    with np.errstate(invalid='ignore'):
        fits = (depth_m > 0) & (depth_m <= _LARGEST_M)
    return np.where(fits, depth_m * np.float32(1000.0) + np.float32(0.5), 0).astype(np.uint16)


def encoded(depth_m: Float32Array, encoding: str) -> AnyArray:
    """Return depth as a depth image of an encoding has it: 32FC1 metres as they are, or 16UC1 millimetres."""
    return to_millimetres(depth_m) if encoding == '16UC1' else depth_m
