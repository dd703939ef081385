"""Inputs of a navigation stack from depth maps: points for marking, points for clearing, a laser scan.

Heights are relative to the floor, which is level and ``Mount.height_m`` below the camera. The camera may be pitched
down but has no roll.
"""

from dataclasses import dataclass, replace

import numpy as np

from depth_ros.geometry import Band, Mount
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.types import AnyArray, Camera, Cloud, DepthMap, Float32Array

_SCAN_STRIDE = 2
_BEFORE_OBSTACLE_M = 0.1
"""Clearing rays end this far before an obstacle in their column, so that they do not clear the obstacle."""


def cropped(depth: DepthMap, max_depth_m: float, band: Band | None, mount: Mount) -> DepthMap:
    """Return the map with NaN beyond ``max_depth_m`` and outside a band of heights."""
    depth_m = depth.depth_m
    outside = depth_m > np.float32(max_depth_m)
    if band is not None and depth.camera is not None:
        outside |= ~_within(_heights_m(depth_m, depth.camera, mount), band)
    return replace(depth, depth_m=np.where(outside, np.float32(np.nan), depth_m))


def one_per_voxel(cloud: Cloud, side_m: float) -> Cloud:
    """Return the first point of every voxel of a grid with side ``side_m``; the cloud must be dense."""
    cells = np.floor(cloud.points[:, :3] / np.float32(side_m)).astype(np.int64) + (1 << 20)
    key = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, first = np.unique(key, return_index=True)
    return replace(cloud, points=cloud.points[np.sort(first)])


def clearing_points(
    depth: DepthMap, mount: Mount, obstacles: Band, range_m: float, spacing_m: float, rays: PixelRays | None = None
) -> Cloud:
    """Return the ends of free rays, for an observation source with clearing and without marking.

    A ray ends on the floor, or at ``range_m`` where the surface is farther or there is none (+Inf: beyond range, sky).
    If there is an obstacle in the same column, the ray ends before the nearest one; otherwise a ray above a low
    obstacle would clear it. Unknown pixels, and obstacles within the range, give no ray.

    Args:
        depth: Depth map with a camera.
        mount: Pose of the camera relative to the floor.
        obstacles: Heights of obstacles, which must not be cleared.
        range_m: Maximum length of a ray.
        spacing_m: Maximum distance between neighbouring rays at ``range_m``.
        rays: Pixel rays of the camera, kept between calls; computed for this call if None.
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
    """A level laser scan with its origin at the camera: x forward, y left, angles counter-clockwise."""

    ranges_m: Float32Array
    """(N,) metres; +Inf without an obstacle, NaN where the depth is unknown."""
    angle_min_rad: float
    angle_increment_rad: float


def scan(depth: DepthMap, mount: Mount, obstacles: Band, rays: PixelRays | None = None) -> Scan:
    """Return the nearest obstacle in every direction, by horizontal distance.

    Args:
        depth: Depth map with a camera.
        mount: Pose of the camera relative to the floor.
        obstacles: Heights of obstacles.
        rays: Pixel rays of the camera, kept between calls; computed for this call if None.
    """
    assert depth.camera is not None
    rays = rays or PixelRays()
    depth_m = depth.depth_m[::_SCAN_STRIDE, ::_SCAN_STRIDE]
    x = rays.slopes(depth.camera, _SCAN_STRIDE).x
    forward = rays.forward(depth.camera, mount.pitch_rad, _SCAN_STRIDE)
    sectors = rays.sectors(depth.camera, mount.pitch_rad, _SCAN_STRIDE)
    solid = np.isfinite(depth_m) & _within(_heights_m(depth_m, depth.camera, mount, _SCAN_STRIDE), obstacles)
    ranges = np.full(sectors.count, np.nan, np.float32)
    known = depth_m > 0  # +Inf: beyond range
    ranges[sectors.index[known]] = np.inf
    horizontal = depth_m[solid] * np.hypot(x, forward)[solid]
    np.fmin.at(ranges, sectors.index[solid], horizontal)
    return Scan(ranges, sectors.angle_min_rad, sectors.angle_increment_rad)


def _heights_m(depth_m: Float32Array, camera: Camera, mount: Mount, stride: int = 1) -> Float32Array:
    """Return the height above the floor of every ``stride``-th pixel, (h, w) as ``depth_m``."""
    y = (np.arange(0, camera.height, stride, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    falls = np.float32(np.cos(mount.pitch_rad)) * y + np.float32(np.sin(mount.pitch_rad))
    with np.errstate(invalid='ignore'):
        return np.asarray(np.float32(mount.height_m) - depth_m * falls[:, None])


def _within(heights_m: Float32Array, band: Band) -> AnyArray:
    return np.asarray((heights_m >= np.float32(band.low_m)) & (heights_m <= np.float32(band.high_m)))
