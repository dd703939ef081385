"""Pixels at the border of a surface that were matched as part of the wrong one."""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.stereo.opencv_matcher import UNKNOWN, Sixteenths
from depth_ros.types import Float32Array, UInt8Array

UInt16Array = npt.NDArray[np.uint16]

_BAND_PX = 2
"""Matches are off by about this much at a border."""
_STEP = 3 * 16
"""Smallest step between two surfaces, in 1/16 px."""
_WINDOW = 7
"""Side of the window for the mean grey values, at half size."""
_MIN_DIFFERENCE = 5
"""Grey values by which a pixel must be nearer to the mean of the other surface."""
_MIN_PIXELS = 2


def remove_wrong_borders(left: UInt8Array, disparity: Sixteenths) -> None:
    """Set pixels beside a step in disparity to unknown whose grey value is that of the other surface, in place.

    The matcher compares small windows, so a surface grows by one or two pixels over the one behind it. A pixel in this
    band is compared with the mean grey values of both surfaces next to the band.

    Args:
        left: (H, W) grey values.
        disparity: (H, W) disparity of the left image.
    """
    kernel = np.ones((2 * _BAND_PX + 1, 2 * _BAND_PX + 1), np.uint8)
    known = cv2.compare(disparity, UNKNOWN, cv2.CMP_GT)
    near = cv2.dilate(disparity, kernel)
    far = cv2.erode(cv2.copyTo(disparity, known, np.full_like(disparity, -UNKNOWN)), kernel)
    band = cv2.bitwise_and(cv2.compare(cv2.subtract(near, far), _STEP, cv2.CMP_GT), known)
    pixels = np.flatnonzero(band)
    near_here, far_here = near.ravel()[pixels], far.ravel()[pixels]
    of_near = disparity.ravel()[pixels] > near_here // 2 + far_here // 2

    rows, columns = np.divmod(pixels, left.shape[1])
    sampled = (rows >> 1) * ((left.shape[1] + 1) >> 1) + (columns >> 1)
    grey = left.ravel()[pixels].astype(np.float32)
    to_near, to_far = (
        np.abs(grey - _mean(count.ravel()[sampled], total.ravel()[sampled]))
        for count, total in _surface_sums(left, disparity, known, band, near, far)
    )
    own, other = np.where(of_near, to_near, to_far), np.where(of_near, to_far, to_near)
    wrong = other + _MIN_DIFFERENCE < own  # False where a mean is NaN
    disparity.reshape(-1)[pixels[wrong]] = UNKNOWN


def _surface_sums(
    left: UInt8Array, disparity: Sixteenths, known: UInt8Array, band: UInt8Array, near: Sixteenths, far: Sixteenths
) -> list[tuple[UInt16Array, UInt16Array]]:
    """Return number and sum of the grey values of the near and of the far surface beside a band, at half size."""
    grey, known, band = (np.ascontiguousarray(image[::2, ::2]) for image in (left, known, band))
    twice_middle = np.where(band, near[::2, ::2].astype(np.float32) + far[::2, ::2], np.float32(0))
    window = (_WINDOW, _WINDOW)
    in_band = cv2.boxFilter(band & 1, cv2.CV_32F, window, normalize=False)
    middle = cv2.boxFilter(twice_middle, cv2.CV_32F, window, normalize=False) / np.maximum(2 * in_band, 1)
    beside = cv2.bitwise_and(known, cv2.bitwise_not(band)) * (in_band > 0)
    is_near = (disparity[::2, ::2] > middle) * np.uint8(255)
    surfaces = cv2.bitwise_and(beside, is_near), cv2.bitwise_and(beside, cv2.bitwise_not(is_near))
    return [
        tuple(cv2.boxFilter(v, cv2.CV_16U, window, normalize=False) for v in (mask & 1, cv2.bitwise_and(grey, mask)))
        for mask in surfaces
    ]


def _mean(count: UInt16Array, total: UInt16Array) -> Float32Array:
    return np.where(count >= _MIN_PIXELS, total / np.maximum(count, 1).astype(np.float32), np.float32(np.nan))
