"""Alignment of an estimate with the ground truth, per image, as in the literature on relative depth models."""

from typing import Literal

import numpy as np

from depth_ros.types import Float32Array, Space

Alignment = Literal['none', 'median', 'affine']
_MIN_RELATIVE_VARIANCE = 1e-12
"""Relative variance below which an estimate is treated as constant."""


def aligned(values: Float32Array, space: Space, truth_m: Float32Array, method: Alignment) -> Float32Array:
    """Return the estimate in metres.

    Args:
        values: (H, W) in ``space``; NaN and Inf = unknown.
        space: What the values represent.
        truth_m: (H, W); NaN = unknown.
        method: ``none``: the values are metres. ``median``: one factor, the ratio of the medians (Zhou et al., CVPR
            2017). ``affine``: factor and shift by least squares, in 1 / depth for inverse models (Ranftl et al., TPAMI
            2020).

    Returns:
        (H, W) metres; all NaN if fewer than two pixels are known in both; +Inf where the aligned inverse depth is not
        positive.
    """
    if method == 'none':
        return values
    inverse = space == 'relative_inverse_depth'
    values = np.where(np.isfinite(values), values, np.float32(np.nan))
    with np.errstate(divide='ignore', invalid='ignore'):
        if method == 'median' and inverse:
            values = np.where(values > 0, 1 / values, np.float32(np.nan))
            inverse = False
        target = 1 / truth_m if inverse else truth_m
    known = np.isfinite(values) & np.isfinite(target)
    if known.sum() < 2:
        return np.full_like(values, np.nan)
    v, t = values[known].astype(np.float64), target[known].astype(np.float64)
    if method == 'median':
        scale, shift = (float(np.median(t) / np.median(v)) if np.median(v) > 0 else np.nan), 0.0
    else:
        variance = float(np.var(v))
        varies = variance > _MIN_RELATIVE_VARIANCE * v.mean() ** 2
        scale = float(np.mean((v - v.mean()) * (t - t.mean())) / variance) if varies else 0.0
        shift = float(t.mean() - scale * v.mean())
    metres = values * np.float32(scale) + np.float32(shift)
    if inverse:
        with np.errstate(divide='ignore'):
            metres = np.where(metres > 0, 1 / metres, np.where(np.isnan(metres), np.nan, np.inf))
    return np.asarray(metres, np.float32)
