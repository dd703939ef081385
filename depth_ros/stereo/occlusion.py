"""Disparity of what only the left camera sees, from the background beside it."""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import Float32Array

_SLACK_PX = 3.0
"""Matches end about this far from the true edge of a surface, on both sides together."""
_VOTING_ROWS = 15
BoolArray = npt.NDArray[np.bool_]


def fill_occlusions(disparity_px: Float32Array) -> tuple[Float32Array, BoolArray]:
    """Fill the gaps that the geometry of a pair explains.

    Where a near surface begins right of a far one, the right camera does not see a strip of the far one, as wide as
    the step in disparity. A gap in a row that is no wider than that (and a little) is explained. It is given the
    disparity of the farther neighbour where most of the gaps in the rows above and below are explained too. Other
    gaps, and those at the image's border, stay unknown: nothing there says how far it is.

    Returns:
        (H, W) disparity with gaps filled, and the mask of the filled pixels.
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
    explained[rows, cols] = last - first - 1 <= np.maximum(right - left, 0) + _SLACK_PX

    filled = gap & (_in_rows_around(explained) > 0.5 * _in_rows_around(gap))
    result = disparity_px.copy()
    chosen = filled[rows, cols]
    result[rows[chosen], cols[chosen]] = np.minimum(left, right)[chosen]
    return result, filled


def _in_rows_around(mask: BoolArray) -> npt.NDArray[np.uint8]:
    """Count how many of the rows around each pixel are set in its column."""
    size = (1, _VOTING_ROWS)
    counts = cv2.boxFilter(mask.view(np.uint8), -1, size, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(counts)
