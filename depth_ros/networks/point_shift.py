"""Estimation of the unknown z-shift of an affine point map from the camera's intrinsics."""

import numpy as np
import numpy.typing as npt

from depth_ros.geometry import pixel_slopes
from depth_ros.types import Camera, Float32Array

_SAMPLES = 64
_ITERATIONS = 20


def solve_shift(points: Float32Array, camera: Camera, valid: npt.NDArray[np.bool_] | None = None) -> float:
    """Return the shift s that puts every point (x, y, z + s) on the ray of its pixel, by Gauss-Newton on a subsample.

    Minimises ``Σ |x / (z + s) - u'|² + |y / (z + s) - v'|²`` with u', v' the pixel's normalised coordinates, after
    R. Wang et al., "MoGe-2", 2025; with the true principal point instead of the image's centre.

    Args:
        points: Point map, (h, w, 3).
        camera: Intrinsics of the (h, w) grid.
        valid: Mask of the points to use, (h, w); None = all finite points.
    """
    height, width = points.shape[:2]
    rows = np.linspace(0, height - 1, min(height, _SAMPLES)).round().astype(int)
    columns = np.linspace(0, width - 1, min(width, _SAMPLES)).round().astype(int)
    sample = points[np.ix_(rows, columns)].astype(np.float64)
    u, v = pixel_slopes(camera, columns, rows, np.float64)
    usable = np.isfinite(sample).all(axis=-1)
    if valid is not None:
        usable &= valid[np.ix_(rows, columns)]
    if not usable.any():
        return 0.0
    (x, y, z), u, v = sample[usable].T, u[usable], v[usable]
    shift = _initial_shift(x, y, z, u, v)
    for _ in range(_ITERATIONS):
        depth = np.maximum(z + shift, 1e-6)
        residual = np.concatenate([x / depth - u, y / depth - v])
        slope = np.concatenate([-x / depth**2, -y / depth**2])
        norm = slope @ slope
        if norm < 1e-20:
            break
        step = -(slope @ residual) / norm
        shift = max(shift + step, 1e-6 - float(z.min()))
        if abs(step) < 1e-12 * (1 + abs(shift)):
            break
    return float(shift)


def _initial_shift(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    z: npt.NDArray[np.float64],
    u: npt.NDArray[np.float64],
    v: npt.NDArray[np.float64],
) -> float:
    """Solve ``x = u (z + s)``, ``y = v (z + s)`` as a linear least-squares problem."""
    weight = u @ u + v @ v
    if weight < 1e-12:
        return 0.0
    return float((u @ (x - u * z) + v @ (y - v * z)) / weight)
