"""Robust fit of the function from a prediction to metres, using pixels of known depth.

A prediction ``v`` and the depth ``z`` are related by one of three laws: ``1 / z = s v + t`` (inverse depth known up to
scale and shift: MiDaS, Depth Anything), ``z = s v + t`` (depth up to scale and shift: Marigold), ``z = s v`` (depth up
to scale, and the correction of metric models). With ``y = 1 / z`` or ``y = z``, all of them are lines ``y = s v + t``.

The noise is in the prediction, not in the reference, so ``v`` is regressed on ``y``; regressing ``y`` on ``v`` would
underestimate the slope. Noise is assumed to be proportional to depth, so residuals are relative:
``r = (s v + t) / y - 1``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from depth_ros.types import Float32Array, Float64Array, Space

Law = Literal['inverse_affine', 'affine', 'factor']
_HYPOTHESES = 300
_REFINEMENTS = 8
TUKEY = 4.685
"""Constant of Tukey's biweight: 95 % efficiency for normal noise (Beaton and Tukey 1974)."""
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Scale:
    """A law with its coefficients."""

    law: Law
    scale: float
    shift: float = 0.0

    def depth_m(self, values: Float32Array) -> Float32Array:
        """Convert a prediction to metres; NaN stays NaN, and non-positive inverse depth becomes +Inf."""
        line = np.float32(self.scale) * values + np.float32(self.shift)
        if self.law != 'inverse_affine':
            return np.asarray(line)
        line[np.isposinf(values)] = 0.0  # sky
        with np.errstate(divide='ignore'):
            return np.asarray(np.float32(1.0) / np.maximum(line, np.float32(0.0)))


@dataclass(frozen=True)
class ScaleFit:
    """Result of one fit."""

    scale: Scale
    residual: float
    """Median relative depth error of the inliers."""
    inlier_share: float
    inliers: npt.NDArray[np.bool_]
    """(N,) mask of the pixels passed to ``fit``."""


def law_of(space: Space, lacks: tuple[str, ...]) -> Law:
    """Return the law that relates a prediction to metres."""
    if space == 'relative_inverse_depth':
        return 'inverse_affine'
    return 'affine' if 'scale_shift' in lacks else 'factor'


def fit(
    law: Law,
    values: Float32Array,
    depth_m: Float32Array,
    tolerance: float = 0.15,
    tukey: float = TUKEY,
    seed: int = 0,
) -> ScaleFit | None:
    """Fit a law to pixels of known depth, many of which may be outliers.

    Lines are drawn through random pairs of pixels; the one with the smallest truncated error is refined with Tukey's
    weights.

    Args:
        law: Relates ``values`` to ``depth_m``.
        values: (N,) predictions; non-finite pixels are ignored.
        depth_m: (N,) known depths, positive.
        tolerance: Relative error beyond which the error of a pixel is truncated.
        tukey: Number of standard deviations beyond which a pixel has no weight; smaller if outliers are near inliers.
        seed: Seed of the random pairs; the same input gives the same fit.

    Returns:
        None with fewer than 3 usable pixels, or if the fitted slope is not positive.
    """
    usable = np.isfinite(values) & np.isfinite(depth_m) & (depth_m > 0)
    v, z = values[usable].astype(np.float64), depth_m[usable].astype(np.float64)
    if v.size < 3:
        return None
    y = 1 / z if law == 'inverse_affine' else z
    line = _best_line(v, y, law, tolerance, np.random.default_rng(seed))
    if line is None:
        return None
    for _ in range(_REFINEMENTS):
        error = np.abs((line[0] * v + line[1]) / y - 1)
        near = error < tolerance
        if near.sum() < 3:
            return None
        sigma = max(_MAD_TO_SIGMA * float(np.median(error[near])), 1e-4)
        weight = np.maximum(1 - (error / (tukey * sigma)) ** 2, 0.0) ** 2
        refined = _weighted_line(v, y, weight, law)
        if refined is None:
            return None
        line = refined
    error = np.abs((line[0] * v + line[1]) / y - 1)
    near = error < max(min(tukey * sigma, tolerance), 1e-3)
    inliers = np.zeros(values.shape, bool)
    inliers[usable] = near
    if not near.any():
        return None
    return ScaleFit(Scale(law, line[0], line[1]), float(np.median(error[near])), float(near.mean()), inliers)


def _best_line(
    v: Float64Array, y: Float64Array, law: Law, tolerance: float, rng: np.random.Generator
) -> tuple[float, float] | None:
    first, second = rng.integers(0, v.size, (2, _HYPOTHESES))
    with np.errstate(divide='ignore', invalid='ignore'):
        if law == 'factor':
            scales = y[first] / v[first]
            shifts = np.zeros_like(scales)
        else:
            scales = (y[second] - y[first]) / (v[second] - v[first])
            shifts = y[first] - scales * v[first]
    possible = np.isfinite(scales) & (scales > 0)
    if not possible.any():
        return None
    scales, shifts = scales[possible], shifts[possible]
    error = np.abs((scales[:, None] * v + shifts[:, None]) / y - 1)
    best = int(np.argmin((np.minimum(error, tolerance) ** 2).sum(axis=1)))
    return float(scales[best]), float(shifts[best])


def _weighted_line(v: Float64Array, y: Float64Array, weight: Float64Array, law: Law) -> tuple[float, float] | None:
    """Regress ``v / y`` on 1 and ``1 / y``, that is ``v = a y + b`` with noise proportional to y; invert the line."""
    target, inverse = v / y, 1 / y
    total = weight.sum()
    if total <= 0:
        return None
    if law == 'factor':
        a = float((weight * target).sum() / total)
        return (1 / a, 0.0) if a > 0 else None
    mean_target, mean_inverse = (weight * target).sum() / total, (weight * inverse).sum() / total
    spread = (weight * (inverse - mean_inverse) ** 2).sum()
    if spread <= 0:
        return None
    b = float((weight * (inverse - mean_inverse) * (target - mean_target)).sum() / spread)
    a = float(mean_target - b * mean_inverse)
    return (1 / a, -b / a) if a > 0 else None
