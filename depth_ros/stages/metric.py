"""Disparity in pixels → depth in metres, by ``z = fx * B / d``, where d excludes the offset of the principal points."""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import Disparity, Float32Array, RawDisparity, StereoRig

_HORIZON_PX = 1.0
"""Disparities down to minus this are noise of a point at infinity; smaller ones are mismatches."""


def rectified_disparity(raw: RawDisparity, rig: StereoRig) -> Disparity:
    """Subtract ``cx_left - cx_right`` from a raw disparity, as stereo_msgs/DisparityImage requires."""
    offset = rig.offset_px
    return Disparity(
        disparity_px=raw.disparity_px - np.float32(offset),
        fx=rig.left.fx,
        baseline_m=rig.baseline_m,
        min_px=max(raw.min_px - offset, 0.0),
        max_px=raw.max_px - offset,
    )


def depth_from_disparity(disparity: Disparity, range_min_m: float, range_max_m: float) -> Float32Array:
    """Convert disparity to depth along the optical axis.

    Returns:
        (H, W) metres. NaN where the disparity is unknown or impossible, +Inf beyond ``range_max_m`` (a match at or
        slightly past infinity included), -Inf nearer than ``range_min_m`` (REP 117).
    """
    d, depth_per_px = disparity.disparity_px, np.float32(disparity.fx * disparity.baseline_m)
    # Each pass over the image is one vector operation; masks are applied only if they select any pixel.
    farther = cv2.threshold(d, float(depth_per_px) / range_max_m, 0.0, cv2.THRESH_TOZERO)[1]
    unknown = cv2.subtract(d, d)  # 0, or NaN where d is NaN, which the threshold has turned into 0
    with np.errstate(divide='ignore'):
        depth: Float32Array = np.divide(depth_per_px, farther)
    cv2.add(depth, unknown, depth)
    _mark(depth, d < -_HORIZON_PX, np.nan)
    _mark(depth, depth < range_min_m, -np.inf)
    return depth


def within_range(depth_m: Float32Array, range_min_m: float, range_max_m: float) -> Float32Array:
    """Mark depth that is out of range: +Inf beyond, -Inf nearer, NaN where it is not positive (REP 117)."""
    limited: Float32Array = depth_m.copy()
    _mark(limited, depth_m > range_max_m, np.inf)
    _mark(limited, depth_m < range_min_m, -np.inf)
    _mark(limited, depth_m <= 0, np.nan)
    return limited


def _mark(depth: Float32Array, where: npt.NDArray[np.bool_], value: float) -> None:
    if where.any():
        depth[where] = value
