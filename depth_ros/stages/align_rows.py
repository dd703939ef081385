"""Correction of the rows of a right image that no longer match those of the left one."""

import cv2
import numpy as np

from depth_ros.types import AnyArray, Camera, RowShift, UInt8Array

_NEGLIGIBLE_PX = 0.1
"""A smaller shift has no measurable effect on matching, whereas interpolation slightly blurs the image."""
_SHARPENING = 0.75
"""Strength of the sharpening that compensates the blur of the interpolation; chosen on six Middlebury pairs."""
_SAMPLES = 16
"""Columns and rows at which the mean blur is computed."""
_CALIBRATED_SLOPE, _SCALE_SHARE = 0.001, 2 / 3
"""Slope above which the columns are corrected too, and share of the rest of a scale, see ``source_of_aligned``."""


def is_negligible(shift: RowShift, right: Camera) -> bool:
    """Return whether a shift is too small to be corrected."""
    return shift.rms_px(right) < _NEGLIGIBLE_PX


def align_rows(image: UInt8Array, shift: RowShift, right: Camera) -> UInt8Array:
    """Return a right image whose rows match those of the left one, by linear interpolation of the sharpened image.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, rectified. Rows that leave the image are lost; those that enter it repeat
            the border.
        shift: Shift of its rows.
        right: Intrinsics of the image.
    """
    height, width = image.shape[:2]
    source = source_of_aligned(shift, right.cx, right.cy)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    columns, rows = np.meshgrid(np.linspace(0, width - 1, _SAMPLES), np.linspace(0, height - 1, _SAMPLES))
    moved = np.tensordot(source, np.stack((columns, rows, np.ones_like(rows))), 1) - (columns, rows)
    sharp = cv2.sepFilter2D(image, -1, _sharpening(moved[0]), _sharpening(moved[1]))
    return np.asarray(cv2.warpAffine(sharp, source, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _sharpening(moved_px: AnyArray) -> AnyArray:
    """Return the kernel that compensates the mean blur of pixels that move by these distances along one axis.

    Linear interpolation at the fraction f of a pixel attenuates the frequency w by about 1 - f (1 - f) (1 - cos w).
    """
    fraction = moved_px % 1
    side = _SHARPENING * float(np.mean(fraction * (1 - fraction)))
    return np.array((-side, 1 + 2 * side, -side))


def source_of_aligned(shift: RowShift, cx: float, cy: float) -> AnyArray:
    """Return the 3x3 matrix from a pixel of the aligned right image to the pixel that shows the same in the given one.

    The rows determine the vertical part completely. The horizontal part cannot be measured without known depths and
    follows from the probable cause. Slopes up to about 0.001 occur in calibrated pairs whose columns are correct
    (measured with the laser depth of KITTI and ETH3D), therefore only the rest is taken for a motion: a slope over x
    for a roll of the camera, which moves the columns as much, and a slope over y for a difference of the focal lengths,
    of which two thirds are applied to the columns, because the ratio of fx and fy can also be inexact.

    Args:
        shift: Shift of the rows.
        cx: Principal point of the right image, pixels.
        cy: Principal point of the right image, pixels.
    """
    roll, scale = _beyond_calibrated(shift.over_x), _SCALE_SHARE * _beyond_calibrated(shift.over_y)
    return np.array(
        [
            [1 + scale, -roll, roll * cy - scale * cx],
            [shift.over_x, 1 + shift.over_y, shift.offset_px - shift.over_x * cx - shift.over_y * cy],
            [0, 0, 1],
        ]
    )


def _beyond_calibrated(slope: float) -> float:
    return float(np.sign(slope)) * max(abs(slope) - _CALIBRATED_SLOPE, 0.0)
