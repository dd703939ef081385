"""Equal brightness of both images, measured at corresponding pixels."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.stereo.opencv_matcher import UNKNOWN, Sixteenths
from depth_ros.types import Float32Array, UInt8Array

_SAMPLED_STEP = 4
_CENTRAL = slice(12, 244)
"""Grey values near the limits of the sensor say nothing about the others."""
_SIGNIFICANT, _LARGE = 2.0, 8.0
"""Mean change in grey values from which a correction is applied, and from which it is worth another match."""
_SHADING_GRID = (12, 8)
_SIGNIFICANT_SHADING, _LARGE_SHADING = 0.05, 0.12
"""The same for the 90th percentile of the relative change over the image."""
_MIN_SEEN_SHARE = 0.1


class BrightnessCorrection:
    """Gives both images of a pair the same brightness.

    Two cameras differ in exposure, gain, offset and gamma. For corresponding pixels, however, the cumulative histograms
    of both images are equal up to that difference; their comparison (histogram specification, R. Gonzalez and R. Woods,
    "Digital Image Processing") gives a table of grey values for the darker image. What only one of the cameras sees is
    excluded. The vignettes of the lenses remain; the ratio of the mean grey values in a coarse grid measures them.

    Args:
        left: (H, W) grey values.
        right: (H, W) grey values.
        from_right: (H, W) disparity of the right image.
    """

    def __init__(self, left: UInt8Array, right: UInt8Array, from_right: Sixteenths) -> None:
        every = (slice(0, None, _SAMPLED_STEP), slice(0, None, _SAMPLED_STEP))
        disparity, right = from_right[every], right[every]
        columns = np.arange(0, left.shape[1], _SAMPLED_STEP) + (disparity >> 4)
        seen = (disparity != UNKNOWN) & (columns >= 0) & (columns < left.shape[1])
        rows = np.arange(0, left.shape[0], _SAMPLED_STEP)[:, None]
        left = left[rows, np.where(seen, columns, 0)]
        self._change = self._shading_change = 0.0
        if seen.mean() < _MIN_SEEN_SHARE:
            return
        self._right_is_darker = bool(right[seen].mean() < left[seen].mean())
        darker, brighter = (right, left) if self._right_is_darker else (left, right)
        value = np.arange(256)
        counts = np.bincount(darker[seen], minlength=256)
        table = np.interp(_shares(counts), _shares(np.bincount(brighter[seen], minlength=256)), value)
        self._table = np.rint(table).astype(np.uint8)
        self._change = float(np.average(np.abs(table - value)[_CENTRAL], weights=counts[_CENTRAL] + 1e-9))
        self._measure_shading(np.asarray(cv2.LUT(darker, self._table), np.float32), brighter.astype(np.float32), seen)

    def _measure_shading(self, darker: Float32Array, brighter: Float32Array, seen: npt.NDArray[np.bool_]) -> None:
        means = [
            cv2.GaussianBlur(cv2.resize(image * seen, _SHADING_GRID, interpolation=cv2.INTER_AREA), (3, 3), 0)
            for image in (brighter, darker)
        ]
        shading = (means[0] + 1) / (means[1] + 1)
        self._shading_change = float(np.percentile(np.abs(shading - 1), 90))
        self._shading = shading.clip(0.5, 2).astype(np.float32)

    @property
    def is_large(self) -> bool:
        """Whether the images differ so much that matches without the correction are unreliable."""
        return self._change > _LARGE or self._shading_change > _LARGE_SHADING

    def applied(self, left: UInt8Array, right: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
        """Return both images, (H, W) grey values, with the same brightness."""
        if self._change > _SIGNIFICANT:
            left, right = self._on_darker(left, right, lambda image: np.asarray(cv2.LUT(image, self._table)))
        if self._shading_change > _SIGNIFICANT_SHADING:
            left, right = self._on_darker(left, right, self._shaded)
        return left, right

    def _on_darker(
        self, left: UInt8Array, right: UInt8Array, change: Callable[[UInt8Array], UInt8Array]
    ) -> tuple[UInt8Array, UInt8Array]:
        return (left, change(right)) if self._right_is_darker else (change(left), right)

    def _shaded(self, image: UInt8Array) -> UInt8Array:
        factor = cv2.resize(self._shading, image.shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.asarray(cv2.convertScaleAbs(cv2.multiply(image.astype(np.float32), factor)), np.uint8)


def _shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the share of pixels below the middle of each grey value, so that constant images map to each other."""
    shares: npt.NDArray[np.float64] = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
    return shares
