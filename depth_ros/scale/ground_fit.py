"""Scale from the floor: with known camera height and gravity direction, the depth of every floor pixel is known.

A floor pixel with ray ``r = K⁻¹ [u, v, 1]`` lies at depth ``z = height / (down · r)``. The pixels below the horizon
are therefore a dense reference that is correct on the floor and wrong elsewhere; the robust fit separates the two. The
fit is accepted only if its inliers cover as much of the image, and as large a range of depth, as a floor does.
"""

import numpy as np

from depth_ros.geometry import pixel_slopes
from depth_ros.scale.scale_fit import Law, ScaleFit, fit
from depth_ros.types import AnyArray, Camera, Float32Array

_COLUMNS, _ROWS = 80, 60
_MAX_HEIGHTS = 20.0
"""Floor farther away than this many camera heights is viewed at too small an angle to be used."""
_TOLERANCE = 0.08
_TUKEY = 3.0
"""Smaller than the usual constant: objects standing on the floor deviate gradually, always in one direction."""
_MIN_IMAGE_SHARE = 0.10
"""Smallest share of the image that must be inliers."""
_MIN_SPREAD = 0.3
"""Smallest spread of the inliers: largest divided by smallest inverse depth, minus 1; a facing wall has none."""
_MIN_CORRELATION = 0.9


def down_from_pitch(pitch_rad: float) -> Float32Array:
    """Return the unit vector pointing down, in the optical frame of a camera pitched down by an angle."""
    return np.array([0.0, np.cos(pitch_rad), np.sin(pitch_rad)], np.float32)


def fit_ground(law: Law, values: Float32Array, camera: Camera, height_m: float, down: Float32Array) -> ScaleFit | None:
    """Fit a prediction to the floor.

    Args:
        law: Relates prediction and depth.
        values: (H, W) prediction.
        camera: Intrinsics of ``values``.
        height_m: Height of the camera above the floor, positive.
        down: (3,) unit vector in the optical frame.

    Returns:
        None if no floor is visible.
    """
    rows = np.unique(np.linspace(0, camera.height - 1, _ROWS).astype(np.intp))
    columns = np.unique(np.linspace(0, camera.width - 1, _COLUMNS).astype(np.intp))
    x, y = pixel_slopes(camera, columns, rows)
    descent = down[0] * x + down[1] * y + down[2]
    below = descent > 1 / _MAX_HEIGHTS
    if not below.any():
        return None
    floor_m, predicted = (height_m / descent[below]).astype(np.float32), values[np.ix_(rows, columns)][below]
    fitted = fit(law, predicted, floor_m, _TOLERANCE, _TUKEY)
    if fitted is None or not _is_floor(fitted, floor_m, predicted, below.size):
        return None
    return fitted


def _is_floor(fitted: ScaleFit, floor_m: Float32Array, predicted: Float32Array, pixels: int) -> bool:
    if fitted.inliers.sum() < _MIN_IMAGE_SHARE * pixels:
        return False
    near = 1 / floor_m[fitted.inliers]
    low, high = np.quantile(near, (0.05, 0.95))
    if high / low - 1 < _MIN_SPREAD:
        return False
    depth = fitted.scale.depth_m(predicted[fitted.inliers])
    return _correlation(1 / depth, near) > _MIN_CORRELATION


def _correlation(a: AnyArray, b: AnyArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    product = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / product if product > 0 else 0.0
