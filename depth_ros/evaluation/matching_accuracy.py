"""Accuracy of a disparity map, in the figures by which stereo matchers are compared."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_ros.types import Float32Array


@dataclass(frozen=True)
class MatchingAccuracy:
    """Figures over the pixels with truth, occluded ones included; NaN if the map has no valid pixel among them.

    Unlike ``DisparityAccuracy``, whose figures refer to all pixels with truth, the errors refer to the valid pixels.
    """

    valid_share: float
    """Share of the pixels with truth that have a disparity."""
    bad1: float
    """Share of the valid pixels with an error above 1 px (Scharstein et al., GCPR 2014)."""
    bad2: float
    """Share of the valid pixels with an error above 2 px."""
    bad4: float
    """Share of the valid pixels with an error above 4 px."""
    d1: float
    """Share of the valid pixels with an error above 3 px and 5 % (Menze and Geiger, CVPR 2015)."""
    d1_filled: float
    """The same share of all pixels with truth, after the holes have been filled as by ``filled_with_background``."""
    epe_px: float
    """End-point error: mean of |d - d*| over the valid pixels."""


def matching_accuracy(disparity_px: Float32Array, truth_px: Float32Array) -> MatchingAccuracy:
    """Compare (H, W) disparity with (H, W) true disparity, both in pixels; NaN and Inf = unknown."""
    has_truth = np.isfinite(truth_px)
    truth = truth_px[has_truth].astype(np.float64)
    error = np.abs(disparity_px[has_truth] - truth)
    filled_error = np.abs(filled_with_background(disparity_px)[has_truth] - truth)
    known = np.isfinite(error)

    def share(condition: npt.NDArray[np.bool_]) -> float:
        return float(condition[known].mean()) if known.any() else float('nan')

    return MatchingAccuracy(
        valid_share=float(known.mean()) if known.size else float('nan'),
        bad1=share(error > 1.0),
        bad2=share(error > 2.0),
        bad4=share(error > 4.0),
        d1=share((error > 3.0) & (error > 0.05 * truth)),
        d1_filled=float(1 - np.mean((filled_error <= 3.0) | (filled_error <= 0.05 * truth))),
        epe_px=float(error[known].mean()) if known.any() else float('nan'),
    )


def filled_with_background(disparity_px: Float32Array) -> Float32Array:
    """Fill the holes of a map as the KITTI benchmark does before it evaluates one.

    A hole in a row gets the smaller disparity of its two neighbours, the background; at the border of the image the
    nearest valid disparity of the row is repeated. Rows without a valid pixel at the upper and lower border get the
    nearest valid disparity of the column, as in the function ``interpolateBackground`` of the development kit of KITTI
    stereo 2015 (Menze and Geiger, CVPR 2015).

    Args:
        disparity_px: (H, W); NaN and Inf = unknown.

    Returns:
        (H, W); NaN where the benchmark leaves a pixel unknown: rows without a valid pixel between two rows with one,
        and a map without a valid pixel.
    """
    known = np.isfinite(disparity_px)
    width = disparity_px.shape[1]
    columns = np.arange(width)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    beyond = np.pad(disparity_px, ((0, 0), (0, 1)), constant_values=np.inf)  # index -1 and index width: no neighbour
    filled = np.minimum(np.take_along_axis(beyond, before, axis=1), np.take_along_axis(beyond, after, axis=1))
    filled = np.where(known.any(axis=1, keepdims=True), filled, np.float32(np.nan))
    rows = np.flatnonzero(known.any(axis=1))
    if rows.size:
        filled[: rows[0]] = filled[rows[0]]
        filled[rows[-1] + 1 :] = filled[rows[-1]]
    return np.asarray(filled, np.float32)
