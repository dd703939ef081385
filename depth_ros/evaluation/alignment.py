"""What a model gives and what the truth is, made comparable: per picture, as the papers of relative models do."""

from typing import Literal

import numpy as np

from depth_ros.types import Float32Array, Space

Alignment = Literal['none', 'median', 'affine']
_FLAT = 1e-12
"""Relative variance below which a prediction says nothing about depth."""


def aligned(values: Float32Array, space: Space, truth_m: Float32Array, how: Alignment) -> Float32Array:
    """Return the estimate as metres.

    Args:
        values: (H, W) in ``space``; NaN and Inf = unknown.
        space: What they are.
        truth_m: (H, W); NaN = unknown.
        how: ``none``: they are metres. ``median``: one factor, the ratio of the medians (Zhou et al., CVPR 2017).
            ``affine``: factor and shift by least squares, in 1 / depth for inverse models (Ranftl et al., TPAMI 2020).

    Returns:
        (H, W) metres; all NaN if there is nothing to align with; what ends up behind infinity is +Inf.
    """
    if how == 'none':
        return values
    inverse = space == 'relative_inverse_depth'
    values = np.where(np.isfinite(values), values, np.float32(np.nan))
    with np.errstate(divide='ignore', invalid='ignore'):
        if how == 'median' and inverse:
            values = np.where(values > 0, 1 / values, np.float32(np.nan))
            inverse = False
        target = 1 / truth_m if inverse else truth_m
    both = np.isfinite(values) & np.isfinite(target)
    if both.sum() < 2:
        return np.full_like(values, np.nan)
    v, t = values[both].astype(np.float64), target[both].astype(np.float64)
    if how == 'median':
        scale, shift = (float(np.median(t) / np.median(v)) if np.median(v) > 0 else np.nan), 0.0
    else:
        spread = float(np.var(v))
        scale = float(np.mean((v - v.mean()) * (t - t.mean())) / spread) if spread > _FLAT * v.mean() ** 2 else 0.0
        shift = float(t.mean() - scale * v.mean())
    found = values * np.float32(scale) + np.float32(shift)
    if inverse:
        with np.errstate(divide='ignore'):
            found = np.where(found > 0, 1 / found, np.where(np.isnan(found), np.nan, np.inf))
    return np.asarray(found, np.float32)
