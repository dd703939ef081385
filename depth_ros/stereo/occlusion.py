"""Filling of pixels that only the left camera sees, from the background beside them."""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.stereo.opencv_matcher import UNKNOWN, Sixteenths

_TOLERANCE_PX = 3
"""Total distance, of both sides, between the last matches and the true edge of a surface."""
_VOTING_ROWS = 15
BoolArray = npt.NDArray[np.bool_]


def fill_occlusions(disparity: Sixteenths) -> BoolArray:
    """Fill the gaps that are explained by occlusion, in place.

    Where a near surface begins to the right of a far one, a strip of the far one is occluded in the right image; its
    width is the step in disparity. A gap in a row is explained if it is at most this wide, plus a tolerance. It is
    filled with the disparity of the farther neighbour if most of the gaps in the rows above and below are explained
    too. All other gaps, and those at the border of the image, stay unknown.

    Args:
        disparity: (H, W); must be contiguous.

    Returns:
        (H, W) mask of the filled pixels.
    """
    height, width = disparity.shape
    # With known columns on both sides of the image, each gap begins and ends within its own row.
    unknown = np.zeros((height, width + 2), np.int8)
    unknown[:, 1:-1] = disparity == UNKNOWN
    steps = np.diff(unknown.ravel())
    starts, ends = (np.flatnonzero(steps == sign).astype(np.int32) + 1 for sign in (1, -1))
    rows, first = np.divmod(starts, width + 2)
    first, last = first - 1, ends - rows * (width + 2) - 2
    inner = (first > 0) & (last < width - 1)
    rows, first, last = rows[inner], first[inner], last[inner]

    left, right = (disparity[rows, columns].astype(np.int32) for columns in (first - 1, last + 1))
    length = last - first + 1
    explained = 16 * length <= np.maximum(right - left, 0) + 16 * _TOLERANCE_PX
    pixels = np.repeat(rows * width + first - np.cumsum(length) + length, length) + np.arange(length.sum())
    votes = [
        _votes(pixels, np.repeat(choice, length), (height, width)) for choice in (explained, np.ones_like(explained))
    ]
    explained_votes, all_votes = (v.ravel()[pixels].astype(np.int32) for v in votes)
    filled = 2 * explained_votes > all_votes
    chosen = pixels[filled]
    disparity.reshape(-1)[chosen] = np.repeat(np.minimum(left, right), length)[filled]
    mask = np.zeros((height, width), np.bool_)
    mask.reshape(-1)[chosen] = True
    return mask


def _votes(pixels: npt.NDArray[np.intp], chosen: BoolArray, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return, for each pixel of the image, the number of chosen pixels in its column within the rows around it."""
    mask = np.zeros(shape, np.uint8)
    mask.reshape(-1)[pixels[chosen]] = 1
    counts = cv2.boxFilter(mask, -1, (1, _VOTING_ROWS), normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(counts, np.uint8)
