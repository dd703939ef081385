"""Disparity of what only the left camera sees, from the background beside it."""

import numpy as np
import numpy.typing as npt

from depth_ros.types import Float32Array

_SLACK_PX = 2.0
"""Matches end about this far from the true edge of a surface, on both sides together."""


def fill_occlusions(disparity_px: Float32Array) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Fill the gaps that the geometry of a pair explains.

    Where a near surface begins right of a far one, the right camera does not see a strip of the far one, as wide as
    the step in disparity. A gap in a row that is no wider than that (and a little) is given the disparity of the
    farther neighbour. Wider gaps and gaps at the image's border stay unknown: nothing there says how far it is.

    Returns:
        (H, W) disparity with gaps filled, and the mask of the filled pixels.
    """
    height, width = disparity_px.shape
    known = np.isfinite(disparity_px)
    gap_rows, gap_columns = np.nonzero(~known)
    columns = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)[gap_rows, gap_columns]
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1][gap_rows, gap_columns]
    inside = (before >= 0) & (after < width)
    gap_rows, gap_columns, before, after = (a[inside] for a in (gap_rows, gap_columns, before, after))
    left, right = disparity_px[gap_rows, before], disparity_px[gap_rows, after]
    explained = after - before - 1 <= np.maximum(right - left, 0) + _SLACK_PX
    rows, cols = gap_rows[explained], gap_columns[explained]
    filled = np.zeros((height, width), np.bool_)
    filled[rows, cols] = True
    result = disparity_px.copy()
    result[rows, cols] = np.minimum(left, right)[explained]
    return result, filled
