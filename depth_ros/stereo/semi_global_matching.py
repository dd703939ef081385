"""Semi-global matching with OpenCV: metric stereo depth without a network.

After H. Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008, with these
additions to the matcher of OpenCV, each measured on five Middlebury pairs (docs/stereo.md):

* left and right are matched separately and must agree (OpenCV checks consistency within one cost volume);
* the images are padded, so that disparities are also found at the left border;
* the cost includes vertical gradients besides intensities; the matcher itself uses only horizontal gradients;
* with balanced quality, a long search range is reduced to the disparities that a half-size match of the frame finds.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.errors import EstimatorError
from depth_ros.settings.node_settings import Quality
from depth_ros.stages.decode_image import as_grey
from depth_ros.stereo.occlusion import fill_occlusions
from depth_ros.types import AnyArray, Float32Array, RawDisparity, StereoFrame, StereoRig, UInt8Array

_BLOCK = 3
_P1, _P2 = 8 * _BLOCK**2, 32 * _BLOCK**2
_PREFILTER_CAP = 31
_MIN_SHORTENED_PX = 128
_MARGIN_PX = 12
_MIN_MATCHED_SHARE = 0.01
_SPECKLE_SHARE = 2.7e-4
"""Speckles smaller than this share of the image are removed (100 px of 741x500)."""
_FILLED_CONFIDENCE = 0.25
_UNKNOWN = -30000
"""In sixteenths of a pixel; smaller than any valid disparity."""


@dataclass(frozen=True)
class _Strictness:
    uniqueness: int
    """Percentage by which the cost of the best match must be lower than the second best, for the left image."""
    uniqueness_right: int
    """The same for the right image."""
    border_px: int
    """Width of the border removed from every surface, where matches of two surfaces are mixed."""
    fill: bool
    """Whether occluded pixels are filled."""
    shorten: bool
    """Whether a long search range may be reduced; this loses near objects less than 8 px wide."""


_STRICTNESS: dict[Quality, _Strictness] = {
    'balanced': _Strictness(uniqueness=10, uniqueness_right=0, border_px=0, fill=True, shorten=True),
    'strict': _Strictness(uniqueness=15, uniqueness_right=15, border_px=1, fill=False, shorten=False),
}
_AGREEMENT_PX = 1.0
"""Maximum difference between the left and the right disparity of a point."""


class SemiGlobalMatching:
    """Estimates disparity by semi-global matching.

    Args:
        quality: ``balanced`` or ``strict``, as the parameter ``quality``.
        range_min_m: Smallest distance that is searched.
        max_disparity_px: Largest disparity that is searched, at the size of the frames; if None, computed from
            range_min_m.
    """

    name = 'semi-global matching (OpenCV, CPU)'

    def __init__(
        self, quality: Quality = 'balanced', range_min_m: float = 0.5, max_disparity_px: float | None = None
    ) -> None:
        self._strictness = _STRICTNESS[quality]
        self._range_min_m = range_min_m
        self._max_disparity_px = max_disparity_px

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Return the disparity of a pair.

        Raises:
            EstimatorError: OpenCV failed, or the search range is empty.
        """
        low, high = self._search_range(frame.rig)
        try:
            return self._matched(as_grey(frame.left), as_grey(frame.right), low, high)
        except cv2.error as error:
            raise EstimatorError(f'OpenCV cannot match a pair of shape {frame.left.shape}: {error.err}') from error

    def cancel(self) -> None:
        """Do nothing: a match cannot be interrupted and takes only a fraction of a second."""

    def close(self) -> None:
        """Do nothing: no resources are kept between frames."""

    def _search_range(self, rig: StereoRig) -> tuple[int, int]:
        """Return the smallest and largest raw disparity to search: from infinity to the smallest distance."""
        low = math.floor(rig.offset_px) - 1
        nearest = rig.left.fx * rig.baseline_m / self._range_min_m + rig.offset_px
        high = math.ceil(nearest if self._max_disparity_px is None else self._max_disparity_px)
        high = min(high, rig.left.width - 1)
        if high <= low:
            raise EstimatorError(
                f'the search range is empty: from {low} px (infinity) to {high} px (nearest). Check the baseline '
                f'({rig.baseline_m:g} m), principal points ({rig.offset_px:g} px apart), range_min_m and max_disparity'
            )
        return low, high

    def _matched(self, left: UInt8Array, right: UInt8Array, low: int, high: int) -> RawDisparity:
        strictness = self._strictness
        if strictness.shorten and high - low > _MIN_SHORTENED_PX:
            low, high = _shortened(left, right, low, high)
        pair = _Pair(_features(left), _features(right), low, high)
        from_left = pair.match_left(strictness.uniqueness)
        from_right = pair.match_right(strictness.uniqueness_right)
        agreed, difference = _agreeing(from_left, from_right)
        if strictness.border_px:
            agreed = _without_border(agreed, strictness.border_px)
        _remove_speckles(agreed)
        disparity = _in_pixels(agreed)
        confidence = np.where(np.isnan(disparity), np.float32(0), 1 - 0.5 / _AGREEMENT_PX * difference)
        if strictness.fill:
            disparity, filled = fill_occlusions(disparity)
            confidence[filled] = _FILLED_CONFIDENCE
        return RawDisparity(disparity, confidence.astype(np.float32, copy=False), float(pair.low), float(pair.high))


Sixteenths = npt.NDArray[np.int16]
"""(H, W) disparity in 1/16 px, the fixed point of OpenCV; ``_UNKNOWN`` where there is none."""


class _Pair:
    """Two feature images and a search range, padded so that all columns of both can be matched."""

    def __init__(self, left: UInt8Array, right: UInt8Array, low: int, high: int) -> None:
        count = 16 * math.ceil((high - low + 1) / 16)
        self.low, self.high = low, low + count - 1
        self._count = count
        self._before, self._after = max(self.high, 0), max(-low, 0)
        self._left, self._right = left, right

    def match_left(self, uniqueness: int) -> Sixteenths:
        return self._match(self._left, self._right, uniqueness)

    def match_right(self, uniqueness: int) -> Sixteenths:
        """Match from the right image: after mirroring, the right image takes the place of the left one."""
        mirrored = self._match(cv2.flip(self._right, 1), cv2.flip(self._left, 1), uniqueness)
        return np.asarray(cv2.flip(mirrored, 1))

    def _match(self, base: AnyArray, other: AnyArray, uniqueness: int) -> Sixteenths:
        matcher = cv2.StereoSGBM.create(
            minDisparity=self.low, numDisparities=self._count, blockSize=_BLOCK, P1=_P1, P2=_P2,
            disp12MaxDiff=-1, preFilterCap=_PREFILTER_CAP, uniquenessRatio=uniqueness,
            mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
        )  # fmt: skip
        padded: Sixteenths = matcher.compute(self._padded(base), self._padded(other))
        cropped = padded[:, self._before : padded.shape[1] - self._after]
        return np.where(cropped < 16 * self.low, np.int16(_UNKNOWN), cropped)

    def _padded(self, image: AnyArray) -> AnyArray:
        return np.asarray(cv2.copyMakeBorder(image, 0, 0, self._before, self._after, cv2.BORDER_REPLICATE))


def _features(grey: UInt8Array) -> UInt8Array:
    """Return the channels that are matched: intensity, twice to double its weight, and the vertical gradient."""
    gradient = cv2.Sobel(grey, cv2.CV_16S, 0, 1)
    return np.asarray(cv2.merge([grey, cv2.convertScaleAbs(gradient, alpha=0.5, beta=128), grey]))


def _shortened(left: UInt8Array, right: UInt8Array, low: int, high: int) -> tuple[int, int]:
    """Return the part of a search range that a frame uses, from a match at half size.

    The near end is the largest disparity found; the far end excludes the farthest 0.1 % of the matches. Margins cover
    the lower resolution. With too few matches, the range is returned unchanged.
    """
    half = [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in (left, right)]
    pair = _Pair(np.asarray(half[0]), np.asarray(half[1]), low // 2, high // 2 + 1)
    matched, _ = _agreeing(pair.match_left(uniqueness=10), pair.match_right(uniqueness=0))
    _remove_speckles(matched)
    known = matched[matched != _UNKNOWN]
    if known.size < _MIN_MATCHED_SHARE * matched.size:
        return low, high
    farthest, nearest = (int(np.percentile(known, per_cent)) // 8 for per_cent in (0.1, 100))
    return max(low, farthest - _MARGIN_PX), min(high, nearest + _MARGIN_PX)


def _agreeing(from_left: Sixteenths, from_right: Sixteenths) -> tuple[Sixteenths, Float32Array]:
    """Return the disparities on which both images agree, and the difference between both in pixels."""
    columns, rows = _grid(from_left.shape[1], from_left.shape[0])
    opposite = cv2.remap(
        from_right, columns - from_left.astype(np.float32) / 16, rows, cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT, borderValue=_UNKNOWN,
    )  # fmt: skip
    difference = np.abs(np.subtract(opposite, from_left, dtype=np.float32)) / 16
    agrees = (difference <= _AGREEMENT_PX) & (from_left != _UNKNOWN)
    return np.where(agrees, from_left, np.int16(_UNKNOWN)), difference


@lru_cache(maxsize=2)
def _grid(width: int, height: int) -> tuple[Float32Array, Float32Array]:
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


def _remove_speckles(disparity: Sixteenths) -> None:
    """Set speckles, small regions whose disparity differs from their surroundings, to unknown in place."""
    cv2.filterSpeckles(disparity, _UNKNOWN, max(16, int(_SPECKLE_SHARE * disparity.size)), 2 * 16)


def _without_border(disparity: Sixteenths, border_px: int) -> Sixteenths:
    """Remove pixels within ``border_px`` of an unknown one."""
    known = (disparity != _UNKNOWN).astype(np.uint8)
    side = 2 * border_px + 1
    return np.where(cv2.erode(known, np.ones((side, side), np.uint8)) > 0, disparity, np.int16(_UNKNOWN))


def _in_pixels(disparity: Sixteenths) -> Float32Array:
    pixels: Float32Array = disparity.astype(np.float32) / np.float32(16)
    pixels[disparity == _UNKNOWN] = np.nan
    return pixels
