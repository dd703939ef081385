"""Filters of a depth map, each a pure function: (H, W) metres in, a map out, NaN where a pixel is no longer believed.

None of them invents depth, except ``fill_holes``, which says so. Pixels that are not finite pass through as they are,
and nothing is concluded from them.
"""

from functools import lru_cache

import cv2
import numpy as np

from depth_ros.types import AnyArray, Float32Array

_EDGE_PER_PX = 0.02
"""Relative change of inverse depth from pixel to pixel that no surface which goes on around it explains."""
_EDGE_REACH_PX = 9
"""Blurred edges are narrower than this."""
_SPECKLE_RELATIVE = 0.05
_LEVELS_PER_LOG, _NO_LEVEL = 1000, -32000
_LARGE_PX = 1000
"""Wide maps are filtered at half their size, to stay within the time of a frame."""


def without_flying_pixels(depth_m: Float32Array) -> Float32Array:
    """Forget the pixels between two surfaces, where a network or an interpolation has smeared the edge.

    Inverse depth is linear on every plane, so its slope is the same all over a surface, also on a floor that runs far
    away. A pixel whose slope is steeper than the gentlest slope around it, by more than 2 % of its inverse depth,
    lies on a smeared edge. Large maps are looked at in every second row and column.
    """
    step = _step(depth_m)
    inverse = _inverse(depth_m[::step, ::step])
    across, down = np.zeros_like(inverse), np.zeros_like(inverse)
    cv2.absdiff(inverse[:, 1:], inverse[:, :-1], across[:, 1:])
    cv2.absdiff(inverse[1:], inverse[:-1], down[1:])
    across[:, 0], down[0] = across[:, 1], down[1]
    cv2.patchNaNs(across)
    cv2.patchNaNs(down)
    slope = np.asarray(cv2.max(across, down))
    reach = _EDGE_REACH_PX // step | 1
    around = cv2.erode(slope, np.ones((reach, reach), np.uint8))
    # The slope was taken to the pixel before; the pixel itself and the one before are both suspects.
    steep = cv2.dilate(cv2.subtract(slope, around), np.ones((2, 2), np.uint8), anchor=(0, 0))
    return _forgotten(depth_m, _enlarged(steep > inverse * np.float32(step * _EDGE_PER_PX), depth_m))


def without_speckles(depth_m: Float32Array, largest_px: int) -> Float32Array:
    """Forget islands of at most ``largest_px`` pixels whose depth differs by 5 % from everything around them."""
    step = 2 * _step(depth_m)
    with np.errstate(divide='ignore', invalid='ignore'):
        levels = np.log(depth_m[::step, ::step]) * np.float32(_LEVELS_PER_LOG)
    known = np.isfinite(levels)
    islands = cv2.patchNaNs(np.clip(levels, -20000, 20000), _NO_LEVEL).astype(np.int16)
    islands[~known] = _NO_LEVEL
    cv2.filterSpeckles(islands, _NO_LEVEL, max(largest_px // step**2, 1), _LEVELS_PER_LOG * _SPECKLE_RELATIVE)
    return _forgotten(depth_m, _enlarged(known & (islands == _NO_LEVEL), depth_m))


def without_doubtful(depth_m: Float32Array, confidence: Float32Array, least: float) -> Float32Array:
    """Forget pixels whose confidence is below ``least``."""
    return _forgotten(depth_m, confidence < np.float32(least))


def without_region(depth_m: Float32Array, region: AnyArray) -> Float32Array:
    """Forget the pixels where ``region``, (H, W) of the same size, is 0: the robot's own body, say."""
    return _forgotten(depth_m, region == 0)


def fill_holes(depth_m: Float32Array, widest_px: int) -> Float32Array:
    """Invent depth in holes at most ``widest_px`` wide in some direction: the mean of the known pixels around."""
    known = np.isfinite(depth_m).astype(np.uint8)
    side = widest_px + 1 + widest_px % 2
    closed = cv2.morphologyEx(known, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    holes = (closed > known) & np.isnan(depth_m)
    if not holes.any():
        return depth_m
    step = _step(depth_m)
    some, some_known = np.ascontiguousarray(depth_m[::step, ::step]), np.ascontiguousarray(known[::step, ::step])
    reach = (2 * side // step + 1, 2 * side // step + 1)
    with np.errstate(divide='ignore', invalid='ignore'):
        around = cv2.boxFilter(cv2.copyTo(some, some_known), -1, reach, normalize=False)
        around /= cv2.boxFilter(some_known, cv2.CV_32F, reach, normalize=False)
    return _replaced(depth_m, holes, cv2.resize(around, depth_m.shape[::-1], interpolation=cv2.INTER_NEAREST))


def stabilized(depth_m: Float32Array, before: Float32Array | None, gain: float, change: float) -> Float32Array:
    """Let static pixels change slowly: ``before + gain * (now - before)``; one that changed by more is taken as it is.

    Args:
        depth_m: Now.
        before: What this function returned for the frame before; None = none, or of another size.
        gain: Of what is new.
        change: Relative difference that is no flicker but another thing.
    """
    if before is None or before.shape != depth_m.shape:
        return depth_m
    difference = cv2.subtract(depth_m, before)
    with np.errstate(invalid='ignore'):
        still = np.abs(difference) < np.float32(change) * depth_m  # false where either is not finite
    mixed = cv2.scaleAdd(difference, gain, before)
    return _replaced(depth_m, still, mixed)


def _step(depth_m: Float32Array) -> int:
    return 2 if depth_m.shape[1] >= _LARGE_PX else 1


def _enlarged(mask: AnyArray, depth_m: Float32Array) -> AnyArray:
    """Bring a mask of every n-th pixel to the size of the map."""
    return np.asarray(cv2.resize(mask.view(np.uint8), depth_m.shape[::-1], interpolation=cv2.INTER_NEAREST)).view(
        np.bool_
    )


def _inverse(depth_m: Float32Array) -> Float32Array:
    """Return 1 / depth; 0 at infinity, NaN where it is not known or not positive."""
    with np.errstate(divide='ignore'):
        inverse: Float32Array = np.float32(1) / depth_m
    inverse[~(inverse >= 0)] = np.nan
    return inverse


def _forgotten(depth_m: Float32Array, where: AnyArray) -> Float32Array:
    """Write NaN where it is told to and the depth is finite."""
    return _replaced(depth_m, where & np.isfinite(depth_m), _unknown(depth_m.shape))


def _replaced(depth_m: Float32Array, where: AnyArray, by: Float32Array) -> Float32Array:
    """Return a copy with another map's pixels where it is told to; OpenCV's masks are ten times faster than numpy's."""
    changed: Float32Array = depth_m.copy()
    cv2.copyTo(by, where.view(np.uint8), changed)
    return changed


@lru_cache(maxsize=2)
def _unknown(shape: tuple[int, ...]) -> Float32Array:
    return np.full(shape, np.nan, np.float32)
