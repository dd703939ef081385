"""Filters of a depth map, each a pure function: (H, W) metres in, a map out, NaN where a pixel is no longer believed.

None of them invents depth, except ``fill_holes``, which says so. Pixels that are not finite pass through as they are,
and nothing is concluded from them.
"""

from functools import lru_cache

import cv2
import numpy as np

from depth_ros.types import AnyArray, Camera, Float32Array, UInt8Array

_GRAZING_RAD = np.radians(8.0)
"""A surface that meets the viewing ray at a smaller angle is suspect, unless it continues."""
_CONTINUES_PX = 13
"""Smeared edges are narrower than this; a surface seen at a grazing angle is wider."""
_SAME_SURFACE = 0.05
"""Relative difference of depth within which a pixel belongs to the surface beside it."""
_ASSUMED_VIEW_RAD = np.radians(60.0)
"""Horizontal field of view of a camera whose calibration is unknown."""
_SPECKLE_RELATIVE = 0.05
_LEVELS_PER_LOG, _NO_LEVEL = 1000, -32000
_LARGE_PX = 1000
"""Wide maps are filtered at half their size, to stay within the time of a frame."""


def without_flying_pixels(depth_m: Float32Array, camera: Camera | None = None) -> Float32Array:
    """Remove the pixels that hang between two surfaces, where a network or an interpolation has smeared an edge.

    Through such pixels runs a surface that does not exist and that the viewing rays only graze. A pixel is suspect if
    the surface through it and its neighbours meets the viewing ray at less than 8 degrees, beyond what a plane around
    it explains: the inverse depth of a plane has the same slope everywhere, so a slope that continues for 13 pixels
    belongs to a real surface, for example a floor that runs far away. Suspect pixels and the pixels next to them are
    removed unless their depth is within 5 % of a surface that begins within two pixels.

    The slope at a pixel is the smaller one of the slopes to both sides, and none where their signs differ. The two
    sides of a sharp step are therefore kept, as are thin objects. The angle needs the focal length, so that it means
    the same at every image size. Maps wider than 1000 pixels are examined in every second row and column.

    Args:
        depth_m: Depth.
        camera: Intrinsics of the map; None = unknown, a horizontal field of view of 60 degrees is assumed.
    """
    step = _step(depth_m)
    some = np.ascontiguousarray(depth_m[::step, ::step])
    suspect = cv2.dilate(_grazed(some, camera or _assumed_camera(depth_m), step), np.ones((3, 3), np.uint8))
    near_m, far_m = _surfaces_around(some, suspect)
    off_m = cv2.min(cv2.absdiff(some, near_m), cv2.absdiff(some, far_m))
    suspect &= cv2.compare(off_m, cv2.multiply(some, _SAME_SURFACE), cv2.CMP_GT)
    if step > 1:  # the pixels between two samples are removed with either of them
        suspect = cv2.dilate(suspect, np.ones((step, step), np.uint8), anchor=(0, 0))
    return _forgotten(depth_m, _enlarged(suspect, depth_m).view(np.bool_))


def _grazed(depth_m: Float32Array, camera: Camera, step: int) -> UInt8Array:
    """Return a mask of the pixels whose surface meets the viewing ray at a grazing angle and does not continue.

    The cotangent of the angle between ray and surface is the relative change of inverse depth per radian between
    neighbouring rays. Rays (x, y, 1) that differ by dx are dx / (1 + x^2 + y^2) radians apart, away from the centre of
    the image, and slightly more in other directions.

    Args:
        depth_m: (H, W) depth of every ``step``-th pixel.
        camera: Intrinsics at full size.
        step: Pixels of the camera from sample to sample.
    """
    height, width = depth_m.shape
    with np.errstate(divide='ignore'):
        inverse = np.float32(1) / depth_m
    slope = _slope(inverse, camera.fy / camera.fx)
    side = _CONTINUES_PX // step | 1
    # The opening is the slope that continues; noise and the steps of coarse disparities leave gaps, closed before.
    closed = cv2.erode(cv2.dilate(slope, np.ones((3, 3), np.uint8)), np.ones((side + 2, side + 2), np.uint8))
    excess = cv2.subtract(slope, cv2.dilate(closed, np.ones((side, side), np.uint8)))
    x = ((np.arange(width) * step - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(height) * step - camera.cy) / camera.fy).astype(np.float32)
    inverse /= (x**2 + (1 + y**2)[:, None]) * np.float32(camera.fx / step * np.tan(_GRAZING_RAD))
    return np.asarray(cv2.compare(excess, inverse, cv2.CMP_GT), np.uint8)


def _slope(values: Float32Array, down_by: float) -> Float32Array:
    """Return the change per column, or per row times ``down_by``, whichever is steeper.

    Each is the smaller one of the changes on both sides, without sign; not positive where their signs differ.
    """
    across = cv2.subtract(values[:, 1:], values[:, :-1])
    down = cv2.multiply(cv2.subtract(values[1:], values[:-1]), down_by)
    cv2.patchNaNs(across)
    cv2.patchNaNs(down)
    before, after = across[1:-1, :-1], across[1:-1, 1:]
    above, below = down[:-1, 1:-1], down[1:, 1:-1]
    rising = cv2.max(cv2.min(before, after), cv2.min(above, below))
    falling = cv2.min(cv2.max(before, after), cv2.max(above, below))
    slope = cv2.max(rising, cv2.multiply(falling, -1))
    return np.asarray(cv2.copyMakeBorder(slope, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.float32)


def _surfaces_around(depth_m: Float32Array, suspect: UInt8Array) -> tuple[Float32Array, Float32Array]:
    """Return the smallest and the largest depth within two samples that is not suspect; +Inf and 0 if there is none."""
    trusted = (np.isfinite(depth_m) & (suspect == 0)).view(np.uint8)
    near_m, far_m = np.full(depth_m.shape, np.inf, np.float32), np.zeros(depth_m.shape, np.float32)
    cv2.copyTo(depth_m, trusted, near_m)
    cv2.copyTo(depth_m, trusted, far_m)
    around = np.ones((5, 5), np.uint8)
    return np.asarray(cv2.erode(near_m, around), np.float32), np.asarray(cv2.dilate(far_m, around), np.float32)


def _assumed_camera(depth_m: Float32Array) -> Camera:
    height, width = depth_m.shape
    focal_px = width / 2 / np.tan(_ASSUMED_VIEW_RAD / 2)
    return Camera(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)


def without_speckles(depth_m: Float32Array, largest_px: int) -> Float32Array:
    """Forget islands of at most ``largest_px`` pixels whose depth differs by 5 % from everything around them."""
    step = 2 * _step(depth_m)
    with np.errstate(divide='ignore', invalid='ignore'):
        levels = np.log(depth_m[::step, ::step]) * np.float32(_LEVELS_PER_LOG)
    known = np.isfinite(levels)
    islands = cv2.patchNaNs(np.clip(levels, -20000, 20000), _NO_LEVEL).astype(np.int16)
    islands[~known] = _NO_LEVEL
    cv2.filterSpeckles(islands, _NO_LEVEL, max(largest_px // step**2, 1), _LEVELS_PER_LOG * _SPECKLE_RELATIVE)
    return _forgotten(depth_m, _enlarged((known & (islands == _NO_LEVEL)).view(np.uint8), depth_m).view(np.bool_))


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


def _enlarged(some: AnyArray, depth_m: Float32Array) -> AnyArray:
    """Bring a map of every n-th pixel to the size of the depth map."""
    if some.shape == depth_m.shape:
        return some
    return np.asarray(cv2.resize(some, depth_m.shape[::-1], interpolation=cv2.INTER_NEAREST))


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
