"""Pixels at the border of a surface that were matched as part of the wrong one."""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.stereo.opencv_matcher import UNKNOWN, Sixteenths
from depth_ros.types import Float32Array, UInt8Array

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
    known = disparity != UNKNOWN
    near = cv2.dilate(disparity, kernel)
    far = cv2.erode(np.where(known, disparity, np.int16(-UNKNOWN)), kernel)
    band = cv2.compare(cv2.subtract(near, far), _STEP, cv2.CMP_GT) & known.view(np.uint8)
    pixels = np.flatnonzero(band)
    middle = near.ravel()[pixels] // 2 + far.ravel()[pixels] // 2
    of_near = disparity.ravel()[pixels] > middle

    grey = left.ravel()[pixels].astype(np.float32)
    size = (left.shape[1], left.shape[0])
    to_near, to_far = (
        np.abs(grey - cv2.resize(mean, size, interpolation=cv2.INTER_NEAREST).ravel()[pixels])
        for mean in _surface_means(left, disparity, band, near, far)
    )
    own, other = np.where(of_near, to_near, to_far), np.where(of_near, to_far, to_near)
    wrong = other + _MIN_DIFFERENCE < own  # False where a mean is NaN
    disparity.reshape(-1)[pixels[wrong]] = UNKNOWN


def _surface_means(
    left: UInt8Array, disparity: Sixteenths, band: UInt8Array, near: Sixteenths, far: Sixteenths
) -> tuple[Float32Array, Float32Array]:
    """Return the mean grey values of the near and the far surface beside a band, at half size; NaN where there is none."""
    every_second = (slice(0, None, 2), slice(0, None, 2))
    grey, half, beside = left[every_second], disparity[every_second], band[every_second] > 0
    weight = _box(beside)
    middle = near[every_second].astype(np.float32) + far[every_second]
    middle = _box(np.where(beside, middle, 0)) / np.maximum(2 * weight, 1)
    outside = ~beside & (half != UNKNOWN) & (weight > 0)
    return tuple(  # type: ignore[return-value]
        _mean(grey, outside & surface) for surface in (half > middle, half <= middle)
    )


def _mean(grey: UInt8Array, mask: npt.NDArray[np.bool_]) -> Float32Array:
    count = _box(mask)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(count >= _MIN_PIXELS, _box(np.where(mask, grey, 0)) / count, np.float32(np.nan))


def _box(values: npt.NDArray[np.generic]) -> Float32Array:
    return np.asarray(cv2.boxFilter(values.astype(np.float32), -1, (_WINDOW, _WINDOW), normalize=False))
