"""Semi-global matching with OpenCV: metric stereo depth without a network.

After H. Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008. docs/stereo.md
describes the steps and what each of them gains.
"""

import math

import cv2
import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.settings.node_settings import Quality
from depth_ros.stages.decode_image import as_grey
from depth_ros.stereo.brightness import BrightnessCorrection
from depth_ros.stereo.match_confidence import MatchConfidence
from depth_ros.stereo.matching_effort import EFFORTS
from depth_ros.stereo.occlusion import fill_occlusions
from depth_ros.stereo.opencv_matcher import UNKNOWN, SearchRange, Sixteenths, match_left, match_right
from depth_ros.stereo.surface_borders import remove_wrong_borders
from depth_ros.types import AnyArray, Float32Array, RawDisparity, StereoFrame, StereoRig, UInt8Array

_MIN_SAVED = 16
"""Disparities by which a search must become shorter to be worth it."""
_LONG_SEARCH = 96
"""Number of disparities from which two matches, the second one of a shorter search, take less time than one."""
_MARGIN_PX = 12
_MIN_MATCHED_SHARE = 0.01
_LARGE_DIFFERENCE = 16
"""Difference of the mean grey values of both images from which the pair is corrected before the first match."""
_SPECKLE_SHARE = 2.7e-4
"""Speckles smaller than this share of the image are removed (100 px of 741x500)."""
_SPECKLE_STEP = 2 * 16


class SemiGlobalMatching:
    """Estimates disparity by semi-global matching.

    Args:
        quality: As the parameter ``quality``.
        range_min_m: Smallest distance that is searched.
        max_disparity_px: Largest disparity that is searched, at the size of the frames; if None, computed from
            range_min_m.
    """

    name = 'semi-global matching (OpenCV, CPU)'

    def __init__(
        self, quality: Quality = 'balanced', range_min_m: float = 0.5, max_disparity_px: float | None = None
    ) -> None:
        self._effort = EFFORTS[quality]
        self._confidence = MatchConfidence(self._effort)
        self._range_min_m = range_min_m
        self._max_disparity_px = max_disparity_px

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Return the disparity of a pair.

        Raises:
            EstimatorError: OpenCV failed, or the search range is empty.
        """
        low, high = self._limits(frame.rig)
        left = as_grey(frame.left)
        try:
            return self._matched(left, as_grey(frame.right), SearchRange.over(low, high))
        except cv2.error as error:
            raise EstimatorError(f'OpenCV cannot match a pair of shape {frame.left.shape}: {error.err}') from error

    def cancel(self) -> None:
        """Do nothing: a match cannot be interrupted and takes only a fraction of a second."""

    def close(self) -> None:
        """Do nothing: no resources are kept between frames."""

    def _limits(self, rig: StereoRig) -> tuple[int, int]:
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

    def _matched(self, left: UInt8Array, right: UInt8Array, search: SearchRange) -> RawDisparity:
        base, disparity, scores = self._candidates(left, right, search)
        np.copyto(disparity, UNKNOWN, where=scores < self._confidence.lowest_score)
        _remove_speckles(disparity)
        remove_wrong_borders(base, disparity)
        confidence = self._confidence.of(scores)
        if self._effort.filled_confidence:
            confidence[fill_occlusions(disparity)] = self._effort.filled_confidence
        confidence[disparity == UNKNOWN] = 0
        disparity_px = _in_pixels(disparity)
        if disparity.shape != left.shape:
            disparity_px, confidence = _enlarged(disparity_px, left.shape), _nearest(confidence, left.shape)
        return RawDisparity(disparity_px, confidence, float(search.low), float(search.high))

    def _candidates(
        self, left: UInt8Array, right: UInt8Array, search: SearchRange
    ) -> tuple[UInt8Array, Sixteenths, UInt8Array]:
        """Return the left image, the best match of each of its pixels, and its score; at the size that is matched.

        Args:
            left: (H, W) grey values.
            right: (H, W) grey values.
            search: Disparities to search.
        """
        effort = self._effort
        left, right, from_right = self._right_candidates(left, right, search)
        search = _narrowed(search, from_right, effort.right_scale)
        base, other = _scaled_pair(left, right, effort.left_scale)
        from_left = match_left(base, other, search.scaled(effort.left_scale))
        agrees = _agreement(from_left, from_right, effort.tolerance)
        return base, from_left, self._confidence.scores(base, from_left, agrees)

    def _right_candidates(
        self, left: UInt8Array, right: UInt8Array, search: SearchRange
    ) -> tuple[UInt8Array, UInt8Array, Sixteenths]:
        """Return both images with the same brightness, and the matches of the right one at its scale."""
        scale = self._effort.right_scale
        small, search = _scaled_pair(left, right, scale), search.scaled(scale)
        differs = abs(small[0].mean() - small[1].mean()) > _LARGE_DIFFERENCE
        from_right = _right_of_equal_brightness(*small, search) if differs else _from_right(*small, search)
        correction = BrightnessCorrection(*small, from_right)
        if correction.is_large and not differs:
            from_right = _right_of_equal_brightness(*small, search)
            correction = BrightnessCorrection(*small, from_right)
        return *correction.applied(left, right), from_right


def _right_of_equal_brightness(left: UInt8Array, right: UInt8Array, search: SearchRange) -> Sixteenths:
    """Return the matches of the right image after a correction of the brightness of the images as a whole.

    Matches prefer pixels of equal brightness, so those of an uncorrected pair cannot be used to measure it.
    """
    whole = BrightnessCorrection(left, right, np.zeros(left.shape, np.int16))
    return _from_right(*whole.applied(left, right), search)


def _from_right(left: UInt8Array, right: UInt8Array, search: SearchRange) -> Sixteenths:
    """Return the matches of the right image; a long search is made shorter by a match of the grey values alone."""
    if search.count > _LONG_SEARCH:
        search = _narrowed(search, match_right(left, right, search, gradient=False), 1)
    return match_right(left, right, search)


def _scaled_pair(left: UInt8Array, right: UInt8Array, scale: float) -> tuple[UInt8Array, UInt8Array]:
    if scale == 1:
        return left, right
    shape = (max(round(left.shape[0] * scale), 1), max(round(left.shape[1] * scale), 1))
    return _resized(left, shape), _resized(right, shape)


def _resized(image: UInt8Array, shape: tuple[int, ...]) -> UInt8Array:
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _narrowed(search: SearchRange, from_right: Sixteenths, scale: float) -> SearchRange:
    """Return the part of a search range that a frame uses, from a match of the right image at a smaller size.

    The near end is the largest disparity found; the far end excludes the farthest 0.1 % of the matches. Margins cover
    the lower resolution. With too few matches, the range is returned unchanged.
    """
    matched = from_right[::2, ::2].copy()
    cv2.filterSpeckles(matched, UNKNOWN, max(8, int(_SPECKLE_SHARE * matched.size)), _SPECKLE_STEP)
    known = matched[matched != UNKNOWN]
    if known.size < _MIN_MATCHED_SHARE * matched.size:
        return search
    farthest = int(np.partition(known, known.size // 1000)[known.size // 1000] / (16 * scale))
    nearest = int(known.max() / (16 * scale))
    low = min(max(farthest - _MARGIN_PX, search.low), search.high)
    shorter = SearchRange.over(low, max(min(nearest + _MARGIN_PX, search.high), low))
    return shorter if shorter.count <= search.count - _MIN_SAVED else search


def _agreement(from_left: Sixteenths, from_right: Sixteenths, tolerance: int) -> UInt8Array:
    """Return 255 where the match of the corresponding pixel of the right image leads back, 0 elsewhere.

    Args:
        from_left: (H, W) disparity of the left image.
        from_right: Disparity of the right image, at any size.
        tolerance: Largest difference of both disparities, in 1/16 px of the left image.
    """
    height, width = from_left.shape
    scale_x, scale_y = from_right.shape[1] / width, from_right.shape[0] / height
    right_of_left_size = np.rint(from_right * np.float32(1 / scale_x)).clip(UNKNOWN, -UNKNOWN).astype(np.int16)
    right_of_left_size[from_right == UNKNOWN] = -UNKNOWN  # never within the tolerance of a disparity or of UNKNOWN
    columns = np.multiply(from_left, np.float32(-scale_x / 16), dtype=np.float32)
    columns += ((np.arange(width) + 0.5) * scale_x - 0.5).astype(np.float32)
    rows = np.repeat(((np.arange(height) + 0.5) * scale_y - 0.5).astype(np.float32)[:, None], width, axis=1)
    opposite = cv2.remap(
        right_of_left_size, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=-UNKNOWN
    )
    return np.asarray(cv2.compare(cv2.absdiff(opposite, from_left), tolerance, cv2.CMP_LE))


def _remove_speckles(disparity: Sixteenths) -> None:
    """Set speckles, small regions whose disparity differs from their surroundings, to unknown in place.

    They are found on every second pixel of every second row.
    """
    half = disparity[::2, ::2].copy()
    cv2.filterSpeckles(half, UNKNOWN, max(4, int(_SPECKLE_SHARE * half.size)), _SPECKLE_STEP)
    disparity[_nearest((half == UNKNOWN).view(np.uint8), disparity.shape).view(np.bool_)] = UNKNOWN


def _nearest(image: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST))


def _enlarged(disparity_px: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """Return a disparity map at a larger size: interpolated on surfaces, from the nearest pixel at their borders."""
    scale = np.float32(shape[1] / disparity_px.shape[1])
    nearest = _nearest(disparity_px, shape)
    smooth = cv2.resize(disparity_px, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    on_surface = np.abs(smooth - nearest) < 0.5  # False where one of the neighbours is unknown
    return np.where(on_surface, smooth, nearest) * scale


def _in_pixels(disparity: Sixteenths) -> Float32Array:
    pixels: Float32Array = np.multiply(disparity, np.float32(1 / 16), dtype=np.float32)
    pixels[disparity == UNKNOWN] = np.nan
    return pixels
