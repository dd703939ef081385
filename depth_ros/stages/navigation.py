"""Depth map → what a navigation stack takes: points that mark, points that clear, a laser scan.

Heights are above the floor, which is level and ``Mount.height_m`` below the camera; the camera may look down, but not
roll.
"""

from dataclasses import dataclass, replace

import numpy as np

from depth_ros.geometry import Band, Mount
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.types import AnyArray, Camera, Cloud, DepthMap, Float32Array

_SCAN_STRIDE = 2
_BEFORE_OBSTACLE_M = 0.1
"""Clearing rays end this far before an obstacle of their own column, so that they never clear what is still there."""


def cropped(depth: DepthMap, farthest_m: float, band: Band | None, mount: Mount) -> DepthMap:
    """Return the map with NaN farther than ``farthest_m`` and outside of a band of heights; to be projected."""
    depth_m = depth.depth_m
    outside = depth_m > np.float32(farthest_m)
    if band is not None and depth.camera is not None:
        outside |= ~_within(_heights_m(depth_m, depth.camera, mount), band)
    return replace(depth, depth_m=np.where(outside, np.float32(np.nan), depth_m))


def one_per_voxel(cloud: Cloud, side_m: float) -> Cloud:
    """Return the first point of every cube of a grid; the cloud is dense."""
    cells = np.floor(cloud.points[:, :3] / np.float32(side_m)).astype(np.int64) + (1 << 20)
    key = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, first = np.unique(key, return_index=True)
    return replace(cloud, points=cloud.points[np.sort(first)])


def clearing_points(
    depth: DepthMap, mount: Mount, obstacles: Band, range_m: float, spacing_m: float, rays: PixelRays | None = None
) -> Cloud:
    """Return the ends of rays along which there is nothing: for a source that clears and never marks.

    A ray ends on the floor, or at ``range_m`` where it meets something farther or nothing (+Inf: beyond range, sky).
    Where its column shows an obstacle, it ends before the nearest one, so that it clears over no obstacle that it
    looks over. Pixels that are not known, and obstacles within the range, give no ray.

    Args:
        depth: With a camera.
        mount: Of the camera.
        obstacles: Heights of what must not be cleared.
        range_m: Longest ray.
        spacing_m: Largest distance of neighbouring rays at ``range_m``.
        rays: Of the camera, kept between calls; None = computed for this call.
    """
    assert depth.camera is not None
    rays = rays or PixelRays()
    stride = max(int(spacing_m * min(depth.camera.fx, depth.camera.fy) / range_m), 1)
    depth_m = depth.depth_m[::stride, ::stride]
    slopes = rays.slopes(depth.camera, stride)
    x, y = slopes.x, slopes.y
    forward = rays.forward(depth.camera, mount.pitch_rad, stride)
    length = np.sqrt(x * x + y * y + np.float32(1))
    solid = np.isfinite(depth_m) & _within(_heights_m(depth_m, depth.camera, mount, stride), obstacles)
    nearest_m = np.min(np.where(solid, depth_m * forward, np.float32(np.inf)), axis=0)
    reach = np.minimum(depth_m, np.float32(range_m) / length)
    reach = np.minimum(reach, (nearest_m - np.float32(_BEFORE_OBSTACLE_M))[None] / forward)
    free = (depth_m > 0) & ~(solid & (depth_m * length <= range_m)) & (reach > 0)
    ends = reach[free]
    points = np.stack([x[free] * ends, y[free] * ends, ends], axis=-1)
    return Cloud(points.astype(np.float32, copy=False), depth.stamp_ns, depth.frame_id)


@dataclass(frozen=True)
class Scan:
    """A level laser scan about the vertical through the camera: x forward, y left, angles to the left."""

    ranges_m: Float32Array
    """+Inf where nothing is in the way, NaN where nothing is known."""
    angle_min_rad: float
    angle_increment_rad: float


def scan(depth: DepthMap, mount: Mount, obstacles: Band, rays: PixelRays | None = None) -> Scan:
    """Return the nearest obstacle in every direction, by horizontal distance.

    Args:
        depth: With a camera.
        mount: Of the camera.
        obstacles: Heights of obstacles.
        rays: Of the camera, kept between calls; None = computed for this call.
    """
    assert depth.camera is not None
    rays = rays or PixelRays()
    depth_m = depth.depth_m[::_SCAN_STRIDE, ::_SCAN_STRIDE]
    x = rays.slopes(depth.camera, _SCAN_STRIDE).x
    forward = rays.forward(depth.camera, mount.pitch_rad, _SCAN_STRIDE)
    sectors = rays.sectors(depth.camera, mount.pitch_rad, _SCAN_STRIDE)
    solid = np.isfinite(depth_m) & _within(_heights_m(depth_m, depth.camera, mount, _SCAN_STRIDE), obstacles)
    ranges = np.full(sectors.count, np.nan, np.float32)
    known = depth_m > 0  # +Inf is known to be far
    ranges[sectors.index[known]] = np.inf
    horizontal = depth_m[solid] * np.hypot(x, forward)[solid]
    np.fmin.at(ranges, sectors.index[solid], horizontal)
    return Scan(ranges, sectors.angle_min_rad, sectors.angle_increment_rad)


def _heights_m(depth_m: Float32Array, camera: Camera, mount: Mount, stride: int = 1) -> Float32Array:
    """Return the height above the floor of every n-th pixel, (h, w) as ``depth_m``."""
    y = (np.arange(0, camera.height, stride, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    falls = np.float32(np.cos(mount.pitch_rad)) * y + np.float32(np.sin(mount.pitch_rad))
    with np.errstate(invalid='ignore'):
        return np.asarray(np.float32(mount.height_m) - depth_m * falls[:, None])


def _within(heights_m: Float32Array, band: Band) -> AnyArray:
    return np.asarray((heights_m >= np.float32(band.low_m)) & (heights_m <= np.float32(band.high_m)))
