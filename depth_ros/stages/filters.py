"""Filters of depth maps, as pure functions: (H, W) metres in, a new map out, NaN where a pixel was removed.

Only ``fill_holes`` adds depth values. Pixels that are not finite are passed through unchanged and do not affect others.
"""

from functools import lru_cache

import cv2
import numpy as np

from depth_ros.types import AnyArray, Camera, Float32Array, UInt8Array

_GRAZING_RAD = np.radians(9.5)
"""Surfaces that meet the viewing ray at a smaller angle are suspect, unless they continue."""
_CONTINUES_PX = 13
"""Smeared edges are narrower than this; a surface seen at a grazing angle is wider."""
_SMEAR_PX = 5
"""A square of this width around a suspect pixel is not compared with as a surface, because smears fade out slowly."""
_SAME_SURFACE = 0.04
"""Relative difference of depth within which a pixel belongs to the surface beside it."""
_ASSUMED_VIEW_RAD = np.radians(60.0)
"""Horizontal field of view of a camera whose calibration is unknown."""
_SPECKLE_RELATIVE = 0.05
_LEVELS_PER_LOG, _NO_LEVEL = 1000, -32000
_LARGE_PX = 1000
"""Maps of at least this width are filtered at half their size, to keep the filters fast enough."""


def without_flying_pixels(depth_m: Float32Array, camera: Camera | None = None) -> Float32Array:
    """Remove flying pixels: pixels between two surfaces, where a network or interpolation has blurred a depth edge.

    The surface through such pixels does not exist and is nearly parallel to the viewing rays. A pixel is suspect if
    the surface through it and its neighbours meets the viewing ray at less than 9.5 degrees, after subtracting the
    slope that continues along its row or column. The inverse depth of a plane has a constant slope, so a slope that
    continues for 13 pixels in its own direction belongs to a real surface, for example a floor that extends far away.
    Suspect pixels and the pixels next to them are removed unless their depth is within 4 % of a surface nearby. Pixels
    at most two pixels from a suspect pixel do not count as surfaces, because a smear fades out slowly.

    The slope at a pixel is the smaller of the slopes to both sides, and zero where their signs differ. Both sides of a
    sharp step, and thin objects, are therefore kept. The focal length is required to compute the angle, which makes
    the result independent of the image size. Maps at least 1000 pixels wide are processed at half their size, where a
    flying pixel beside a sharp step is missed if it is a single pixel wide and falls between two samples.

    Ground truth of a depth camera contains flying pixels too, and they are removed: in the example of FastDepth (NYU
    Depth v2), 5 % of the pixels are farther than 5 % from the foreground and the background beside them.

    Args:
        depth_m: Depth.
        camera: Intrinsics of the map; if None, a horizontal field of view of 60 degrees is assumed.
    """
    step = _step(depth_m)
    sampled = np.ascontiguousarray(depth_m[::step, ::step])
    grazed = _grazed(sampled, camera or _assumed_camera(depth_m), step)
    near_m, far_m = _surfaces_around(sampled, grazed, _SMEAR_PX // step | 1)
    off_m = cv2.min(cv2.absdiff(sampled, near_m, near_m), cv2.absdiff(sampled, far_m, far_m), near_m)
    removed = cv2.dilate(grazed, np.ones((3, 3), np.uint8))
    removed &= cv2.compare(off_m, sampled * np.float32(_SAME_SURFACE), cv2.CMP_GT)
    if step > 1:  # pixels between two samples are removed if either sample is
        removed = cv2.dilate(removed, np.ones((step, step), np.uint8), anchor=(0, 0))
    return _removed(depth_m, _enlarged(removed, step, depth_m.shape).view(np.bool_))


def _grazed(depth_m: Float32Array, camera: Camera, step: int) -> UInt8Array:
    """Return a mask of the pixels whose surface meets the viewing ray at a grazing angle and does not continue.

    The cotangent of the angle between ray and surface is the relative change of inverse depth per radian between
    neighbouring rays. The angle between rays (x, y, 1) is dx * sqrt(1 + y^2) / (1 + x^2 + y^2) radians where only x
    differs, by dx, and dy * sqrt(1 + x^2) / (1 + x^2 + y^2) radians where only y differs.

    Args:
        depth_m: (H, W) depth of every ``step``-th pixel.
        camera: Intrinsics at full size.
        step: Pixels of the camera from sample to sample.
    """
    height, width = depth_m.shape
    with np.errstate(divide='ignore'):
        inverse = np.float32(1) / depth_m
    x = ((np.arange(width) * step - camera.cx) / camera.fx).astype(np.float32)[1:-1]
    y = ((np.arange(height) * step - camera.cy) / camera.fy).astype(np.float32)[1:-1]
    across = np.asarray(cv2.subtract(inverse[1:-1, 1:], inverse[1:-1, :-1]), np.float32)
    down = np.asarray(cv2.subtract(inverse[1:, 1:-1], inverse[:-1, 1:-1]), np.float32)
    across *= 1 / np.sqrt(1 + y**2)[:, None]
    down *= np.float32(camera.fy / camera.fx) / np.sqrt(1 + x**2)
    excess = cv2.max(_excess(across, 1, step), _excess(down, 0, step))
    per_cotangent = np.float32(camera.fx / step * np.tan(_GRAZING_RAD))
    allowed = np.add((per_cotangent * (1 + y**2))[:, None], per_cotangent * x**2, out=down[:-1])
    cv2.divide(inverse[1:-1, 1:-1], allowed, allowed)
    grazed = cv2.compare(excess, allowed, cv2.CMP_GT)
    return np.asarray(cv2.copyMakeBorder(grazed, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.uint8)


def _excess(changes: Float32Array, axis: int, step: int) -> Float32Array:
    """Return the slope of each inner pixel along ``axis``, less the slope that continues; overwrites ``changes``.

    The slope is the smaller of the absolute changes to both sides, not positive where their signs differ. The slope
    that continues is the morphological opening of the rising and of the falling changes by a line along the axis. Of
    three neighbouring changes the opening takes the largest one, which closes gaps that are caused by noise, single
    unknown pixels and coarse disparity steps.

    Args:
        changes: From each pixel to the next along the axis.
        axis: 1 = along the rows, 0 = along the columns; the result is shorter by one along this axis.
        step: Pixels of the camera from sample to sample.
    """
    cv2.patchNaNs(changes)
    before, after = (changes[:, :-1], changes[:, 1:]) if axis else (changes[:-1], changes[1:])
    rising, falling = cv2.min(before, after), np.asarray(cv2.max(before, after))
    np.negative(falling, out=falling)
    length = _CONTINUES_PX // step | 1
    line = np.ones((1, length) if axis else (length, 1), np.uint8)
    pair = np.ones((1, 2) if axis else (2, 1), np.uint8)
    # All of the opposite sign, to save copies. The largest and the smallest of three changes belong to the middle one.
    continued, other = cv2.erode(falling, pair, anchor=(0, 0)), cv2.erode(rising, pair, anchor=(0, 0))
    cv2.dilate(continued, line, continued)
    cv2.dilate(other, line, other)
    cv2.min(continued, other, continued)
    cv2.threshold(continued, 0.0, 0.0, cv2.THRESH_TRUNC, continued)
    # From the changes back to the pixels between them: a line that is longer by one.
    middle, longer = length // 2 + 1, np.ones((1, length + 1) if axis else (length + 1, 1), np.uint8)
    cv2.erode(continued, longer, other, (middle, 0) if axis else (0, middle))
    slope = cv2.max(rising, falling, rising)
    return np.asarray(cv2.add(slope, other, slope), np.float32)


def _surfaces_around(depth_m: Float32Array, suspect: UInt8Array, margin: int) -> tuple[Float32Array, Float32Array]:
    """Return the smallest and the largest depth of the surfaces in a square around each pixel; +Inf and 0 without any.

    Args:
        depth_m: (H, W) depth.
        suspect: (H, W) mask, 255 where suspect.
        margin: Width of the square around a suspect pixel that is not part of a surface. The square in which surfaces
            are looked for is two samples wider.
    """
    trusted = np.isfinite(depth_m).view(np.uint8)
    trusted &= ~np.asarray(cv2.dilate(suspect, np.ones((margin, margin), np.uint8)))
    near_m = np.full(depth_m.shape, np.inf, np.float32)
    cv2.copyTo(depth_m, trusted, near_m)
    _, far_m = cv2.threshold(near_m, float(np.finfo(np.float32).max), 0.0, cv2.THRESH_TOZERO_INV)
    around = np.ones((margin + 2, margin + 2), np.uint8)
    cv2.erode(near_m, around, near_m)
    cv2.dilate(far_m, around, far_m)
    return near_m, far_m


def _assumed_camera(depth_m: Float32Array) -> Camera:
    height, width = depth_m.shape
    focal_px = width / 2 / np.tan(_ASSUMED_VIEW_RAD / 2)
    return Camera(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)


def without_speckles(depth_m: Float32Array, largest_px: int) -> Float32Array:
    """Remove speckles: regions of at most ``largest_px`` pixels whose depth differs by 5 % from their surroundings."""
    step = 2 * _step(depth_m)
    with np.errstate(divide='ignore', invalid='ignore'):
        levels = np.log(depth_m[::step, ::step]) * np.float32(_LEVELS_PER_LOG)
    known = np.isfinite(levels)
    islands = cv2.patchNaNs(np.clip(levels, -20000, 20000), _NO_LEVEL).astype(np.int16)
    islands[~known] = _NO_LEVEL
    cv2.filterSpeckles(islands, _NO_LEVEL, max(largest_px // step**2, 1), _LEVELS_PER_LOG * _SPECKLE_RELATIVE)
    removed = (known & (islands == _NO_LEVEL)).view(np.uint8)
    return _removed(depth_m, _enlarged(removed, step, depth_m.shape).view(np.bool_))


def without_low_confidence(depth_m: Float32Array, confidence: Float32Array, min_confidence: float) -> Float32Array:
    """Remove pixels whose confidence is below ``min_confidence``."""
    return _removed(depth_m, confidence < np.float32(min_confidence))


def without_region(depth_m: Float32Array, region: AnyArray) -> Float32Array:
    """Remove the pixels where ``region``, (H, W) of the same size, is 0, for example the robot's own body."""
    return _removed(depth_m, region == 0)


def fill_holes(depth_m: Float32Array, widest_px: int) -> Float32Array:
    """Fill holes of at most ``widest_px`` pixels in one direction with the mean of the finite pixels around them."""
    known = np.isfinite(depth_m).astype(np.uint8)
    side = widest_px + 1 + widest_px % 2
    closed = cv2.morphologyEx(known, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    holes = (closed > known) & np.isnan(depth_m)
    if not holes.any():
        return depth_m
    step = _step(depth_m)
    sampled, sampled_known = np.ascontiguousarray(depth_m[::step, ::step]), np.ascontiguousarray(known[::step, ::step])
    reach = (2 * side // step + 1, 2 * side // step + 1)
    with np.errstate(divide='ignore', invalid='ignore'):
        around = cv2.boxFilter(cv2.copyTo(sampled, sampled_known), -1, reach, normalize=False)
        around /= cv2.boxFilter(sampled_known, cv2.CV_32F, reach, normalize=False)
    return _replaced(depth_m, holes, cv2.resize(around, depth_m.shape[::-1], interpolation=cv2.INTER_NEAREST))


def stabilized(depth_m: Float32Array, before: Float32Array | None, gain: float, change: float) -> Float32Array:
    """Smooth static pixels over time: ``before + gain * (now - before)``; larger changes are adopted at once.

    Args:
        depth_m: The current map.
        before: Result of this function for the previous frame; ignored if None or of another size.
        gain: Weight of the current map.
        change: Relative difference from which a pixel is no longer static.
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


def _enlarged(mask: UInt8Array, step: int, shape: tuple[int, ...]) -> UInt8Array:
    """Return a mask of every ``step``-th pixel at full size, (H, W) = ``shape``."""
    if step == 1:
        return mask
    rows, columns = mask.shape
    wide = np.asarray(cv2.merge([mask] * step), np.uint8).reshape(rows, 1, columns * step)  # faster than cv2.resize
    return np.broadcast_to(wide, (rows, step, columns * step)).reshape(rows * step, -1)[: shape[0], : shape[1]]


def _removed(depth_m: Float32Array, where: AnyArray) -> Float32Array:
    """Return a copy with NaN where ``where`` is set and the depth is finite."""
    finite = np.isfinite(depth_m)
    finite &= where
    return _replaced(depth_m, finite, _unknown(depth_m.shape))


def _replaced(depth_m: Float32Array, where: AnyArray, by: Float32Array) -> Float32Array:
    """Return a copy with the pixels of ``by`` where ``where`` is set; copyTo is faster than NumPy's masks."""
    changed: Float32Array = depth_m.copy()
    cv2.copyTo(by, where.view(np.uint8), changed)
    return changed


@lru_cache(maxsize=2)
def _unknown(shape: tuple[int, ...]) -> Float32Array:
    return np.full(shape, np.nan, np.float32)
