"""OpenCV's 3-way semi-global matcher for all columns of both images.

OpenCV leaves the columns unmatched whose search range exceeds the image. Here the images are padded, so that distant
points at the border are measured too.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import UInt8Array

Sixteenths = npt.NDArray[np.int16]
"""(H, W) disparity in 1/16 px, the fixed point of OpenCV; ``UNKNOWN`` where there is none."""
UNKNOWN = -30000
"""Less than any valid disparity."""

_BLOCK = 3
_GREY_PENALTIES = 6 * _BLOCK**2, 24 * _BLOCK**2
"""P1 and P2 of OpenCV: for a step of 1 px, and for a larger step."""
_CHANNEL_PENALTIES = 16 * _BLOCK**2, 64 * _BLOCK**2
"""The same for images of three channels, whose differences add up."""
_GRADIENT_SCALE = 1.5
_PREFILTER_CAP = 41
"""Largest horizontal gradient that is compared. Smaller values give slightly fewer mismatches at borders and worse
fractions of a pixel where the contrast is high."""


@dataclass(frozen=True)
class SearchRange:
    """Disparities to search, in whole pixels."""

    low: int
    count: int
    """Multiple of 16, as OpenCV requires."""

    @property
    def high(self) -> int:
        """Largest disparity."""
        return self.low + self.count - 1

    @classmethod
    def over(cls, low: int, high: int) -> 'SearchRange':
        """Return the smallest range that contains both ends."""
        return cls(low, 16 * math.ceil((high - low + 1) / 16))

    def scaled(self, scale: float) -> 'SearchRange':
        """Return the range for images that are resized by this factor."""
        return self.over(math.floor(self.low * scale), math.ceil(self.high * scale))


def match_left(left: UInt8Array, right: UInt8Array, search: SearchRange) -> Sixteenths:
    """Return the disparity of each pixel of the left image.

    Args:
        left: (H, W) grey values.
        right: (H, W) grey values.
        search: Disparities to search.

    Raises:
        cv2.error: OpenCV cannot match the pair.
    """
    return _matched(left, right, search, _GREY_PENALTIES)


def match_right(left: UInt8Array, right: UInt8Array, search: SearchRange, gradient: bool = True) -> Sixteenths:
    """Return the disparity of each pixel of the right image: mirrored, it takes the place of the left one.

    The vertical gradient is compared too, which OpenCV does not compute itself. Its errors are not those of a match of
    grey values alone, so that it confirms fewer wrong ones. The other arguments are those of ``match_left``.

    Args:
        gradient: Whether the vertical gradient is compared; without it, long searches take less than half as long.
    """
    first, second = (np.asarray(cv2.flip(image, 1), np.uint8) for image in (right, left))
    if gradient:
        mirrored = _matched(_with_gradient(first), _with_gradient(second), search, _CHANNEL_PENALTIES)
    else:
        mirrored = _matched(first, second, search, _GREY_PENALTIES)
    return np.asarray(cv2.flip(mirrored, 1), np.int16)


def _matched(left: UInt8Array, right: UInt8Array, search: SearchRange, penalties: tuple[int, int]) -> Sixteenths:
    """Return the disparity of the left image; both images are (H, W) or (H, W, 3)."""
    before, after = max(search.high, 0), max(-search.low, 0)
    matcher = cv2.StereoSGBM.create(
        minDisparity=search.low, numDisparities=search.count, blockSize=_BLOCK, P1=penalties[0], P2=penalties[1],
        disp12MaxDiff=-1, preFilterCap=_PREFILTER_CAP, uniquenessRatio=0, mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )  # fmt: skip
    padded = matcher.compute(*(cv2.copyMakeBorder(i, 0, 0, before, after, cv2.BORDER_REPLICATE) for i in (left, right)))
    disparity: Sixteenths = padded[:, before : padded.shape[1] - after].copy()
    disparity[disparity < 16 * search.low] = UNKNOWN
    return disparity


def _with_gradient(grey: UInt8Array) -> UInt8Array:
    """Return (H, W, 3): grey values, vertical gradient, grey values again, as OpenCV takes 1 or 3 channels."""
    gradient = cv2.Sobel(grey, cv2.CV_8U, 0, 1, scale=_GRADIENT_SCALE, delta=128)
    return np.asarray(cv2.merge([grey, gradient, grey]), np.uint8)
