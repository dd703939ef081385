"""Difference of the exposures of the two cameras of a pair."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.stages.decode_image import as_grey
from depth_ros.types import UInt8Array

_LARGEST_RATIO = 1.25
"""Ratio of brightness or contrast, in either direction, from which the cameras differ (docs/stereo.md)."""
_SAMPLED_WIDTH_PX = 320
_COARSE = (64, 36)
"""Size at which the overlap of the images is found."""
_SHIFTS = (-4, 24)
"""Horizontal shifts that are tried, in coarse pixels: up to 3/8 of the width."""
_DARK, _FLAT = 4.0, 8.0
"""Brightness, and difference of the 10th and 90th percentile, below which an image says nothing, grey levels."""


@dataclass(frozen=True)
class ExposureDifference:
    """Brightness and contrast of the right image relative to the left image, where both see the same scene."""

    brightness_ratio: float
    """Ratio of the medians."""
    contrast_ratio: float
    """Ratio of the distances between the 10th and the 90th percentile; NaN if an image has hardly any contrast."""

    @property
    def costs_matches(self) -> bool:
        """Whether brightness or contrast differ by more than a factor of 1.25."""
        ratios = (self.brightness_ratio, self.contrast_ratio)
        return any(not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO for ratio in ratios if not math.isnan(ratio))

    def __str__(self) -> str:
        """Return the difference as a part of a sentence."""
        contrast = '' if math.isnan(self.contrast_ratio) else f' and has {self.contrast_ratio:.2f} times its contrast'
        return f'the right image is {self.brightness_ratio:.2f} times as bright as the left image{contrast}'


EXPOSURE_CONSEQUENCE = (
    'the matcher compensates it except where one of the images is saturated or black; there depth is lost. Networks do '
    'not compensate it'
)
EXPOSURE_REMEDY = (
    'Use one exposure and gain for both cameras: apply the automatic exposure of one camera to the other, or fix both; '
    'a hardware trigger starts both exposures at the same time'
)


def exposure_difference(left: UInt8Array, right: UInt8Array) -> ExposureDifference | None:
    """Measure the difference of the exposures of a rectified pair, at a fraction of its size.

    The common part of the two fields of view is found first, by the normalized cross-correlation of small copies of the
    images, which does not depend on gain and offset. What only one camera sees at the border is thus ignored.

    Args:
        left: (H, W) grey or (H, W, 3) RGB.
        right: The same size, grey or RGB.

    Returns:
        The difference; None if both images are too dark to say.
    """
    scale = min(1.0, _SAMPLED_WIDTH_PX / left.shape[1])
    size = (round(left.shape[1] * scale), max(1, round(left.shape[0] * scale)))
    sampled = [as_grey(np.asarray(cv2.resize(i, size, interpolation=cv2.INTER_NEAREST))) for i in (left, right)]
    shift = _common_shift(*sampled)
    width = sampled[0].shape[1]
    common = sampled[0][:, max(shift, 0) : width + min(shift, 0)], sampled[1][:, max(-shift, 0) : width - max(shift, 0)]
    (low_left, left_median, high_left), (low_right, right_median, high_right) = map(_percentiles, common)
    if max(left_median, right_median) < _DARK:
        return None
    spreads = high_left - low_left, high_right - low_right
    contrast_ratio = spreads[1] / spreads[0] if min(spreads) >= _FLAT else math.nan
    return ExposureDifference((right_median + 1) / (left_median + 1), contrast_ratio)


def _common_shift(left: UInt8Array, right: UInt8Array) -> int:
    """Return the horizontal shift of most of the image, ``x_left - x_right``, in pixels of these images."""
    small = [cv2.resize(image, _COARSE, interpolation=cv2.INTER_AREA) for image in (left, right)]
    first, last = _SHIFTS[1], _COARSE[0] + _SHIFTS[0]
    scores = cv2.matchTemplate(small[1], np.ascontiguousarray(small[0][:, first:last]), cv2.TM_CCOEFF_NORMED)
    width: int = left.shape[1]
    return round((first - int(np.argmax(scores))) * width / _COARSE[0])


def _percentiles(grey: UInt8Array) -> list[float]:
    """Return the 10th, 50th and 90th percentile of an image, grey levels."""
    counts = np.bincount(grey.ravel(), minlength=256)
    cumulative = np.cumsum(counts) - counts / 2
    return [float(np.interp(share * grey.size, cumulative, np.arange(256))) for share in (0.1, 0.5, 0.9)]
