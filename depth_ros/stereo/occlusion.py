"""Filling of pixels that only the left camera sees, from the background beside them."""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import Float32Array

_TOLERANCE_PX = 3.0
"""Total distance, of both sides, between the last matches and the true edge of a surface."""
_VOTING_ROWS = 15
BoolArray = npt.NDArray[np.bool_]


def fill_occlusions(disparity_px: Float32Array) -> tuple[Float32Array, BoolArray]:
    """Fill the gaps that are explained by occlusion.

    Where a near surface begins to the right of a far one, a strip of the far one is occluded in the right image; its
    width is the step in disparity. A gap in a row is explained if it is at most this wide, plus a tolerance. It is
    filled with the disparity of the farther neighbour if most of the gaps in the rows above and below are explained
    too. All other gaps, and those at the border of the image, stay unknown.

    Returns:
        (H, W) disparity with filled gaps, and the (H, W) mask of the filled pixels.
    """
    width = disparity_px.shape[1]
    known = np.isfinite(disparity_px)
    columns = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    gap = ~known & (before >= 0) & (after < width)

    rows, cols = np.nonzero(gap)
    first, last = before[rows, cols], after[rows, cols]
    left, right = disparity_px[rows, first], disparity_px[rows, last]
    explained = np.zeros_like(gap)
    explained[rows, cols] = last - first - 1 <= np.maximum(right - left, 0) + _TOLERANCE_PX

    filled = gap & (_in_rows_around(explained) > 0.5 * _in_rows_around(gap))
    result = disparity_px.copy()
    chosen = filled[rows, cols]
    result[rows[chosen], cols[chosen]] = np.minimum(left, right)[chosen]
    return result, filled


def _in_rows_around(mask: BoolArray) -> npt.NDArray[np.uint8]:
    """Return, for each pixel, the number of set pixels in its column within the rows around it."""
    size = (1, _VOTING_ROWS)
    counts = cv2.boxFilter(mask.view(np.uint8), -1, size, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(counts)
