"""Depth map → what a navigation stack takes: points that mark, points that clear, a laser scan.

Heights are above the floor, which is level and ``Mount.height_m`` below the camera; the camera may look down, but not
roll.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from depth_ros.types import AnyArray, Camera, Cloud, DepthMap, Float32Array

_SCAN_STRIDE = 2
_BEFORE_OBSTACLE_M = 0.1
"""Clearing rays end this far before an obstacle of their own column, so that they never clear what is still there."""


@dataclass(frozen=True)
class Mount:
    """Where the camera sits."""

    height_m: float
    """Above the floor."""
    pitch_rad: float = 0.0
    """Down from level."""


@dataclass(frozen=True)
class Band:
    """Heights above the floor that count as obstacles."""

    low_m: float
    high_m: float


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


def clearing_points(depth: DepthMap, mount: Mount, obstacles: Band, range_m: float, spacing_m: float) -> Cloud:
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
    """
    assert depth.camera is not None
    stride = max(int(spacing_m * min(depth.camera.fx, depth.camera.fy) / range_m), 1)
    depth_m = depth.depth_m[::stride, ::stride]
    rays, forward = _rays(depth.camera, mount.pitch_rad, stride)
    length = np.linalg.norm(rays, axis=2)
    solid = np.isfinite(depth_m) & _within(_heights_m(depth_m, depth.camera, mount, stride), obstacles)
    nearest_m = np.min(np.where(solid, depth_m * forward, np.float32(np.inf)), axis=0)
    reach = np.minimum(depth_m, np.float32(range_m) / length)
    reach = np.minimum(reach, (nearest_m - np.float32(_BEFORE_OBSTACLE_M))[None] / forward)
    free = (depth_m > 0) & ~(solid & (depth_m * length <= range_m)) & (reach > 0)
    return Cloud((rays[free] * reach[free, None]).astype(np.float32), depth.stamp_ns, depth.frame_id)


@dataclass(frozen=True)
class Scan:
    """A level laser scan about the vertical through the camera: x forward, y left, angles to the left."""

    ranges_m: Float32Array
    """+Inf where nothing is in the way, NaN where nothing is known."""
    angle_min_rad: float
    angle_increment_rad: float


def scan(depth: DepthMap, mount: Mount, obstacles: Band) -> Scan:
    """Return the nearest obstacle in every direction, by horizontal distance."""
    assert depth.camera is not None
    depth_m = depth.depth_m[::_SCAN_STRIDE, ::_SCAN_STRIDE]
    rays, forward = _rays(depth.camera, mount.pitch_rad, _SCAN_STRIDE)
    index, angle_min, increment, count = _bins(depth.camera, mount.pitch_rad)
    solid = np.isfinite(depth_m) & _within(_heights_m(depth_m, depth.camera, mount, _SCAN_STRIDE), obstacles)
    ranges = np.full(count, np.nan, np.float32)
    known = depth_m > 0  # +Inf is known to be far
    ranges[index[known]] = np.inf
    horizontal = depth_m[solid] * np.hypot(rays[..., 0], forward)[solid]
    np.fmin.at(ranges, index[solid], horizontal)
    return Scan(ranges, angle_min, increment)


def _heights_m(depth_m: Float32Array, camera: Camera, mount: Mount, stride: int = 1) -> Float32Array:
    """Return the height above the floor of every n-th pixel, (h, w) as ``depth_m``."""
    y = (np.arange(0, camera.height, stride, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    falls = np.float32(np.cos(mount.pitch_rad)) * y + np.float32(np.sin(mount.pitch_rad))
    with np.errstate(invalid='ignore'):
        return np.asarray(np.float32(mount.height_m) - depth_m * falls[:, None])


def _within(heights_m: Float32Array, band: Band) -> AnyArray:
    return np.asarray((heights_m >= np.float32(band.low_m)) & (heights_m <= np.float32(band.high_m)))


@lru_cache(maxsize=4)
def _rays(camera: Camera, pitch_rad: float, stride: int) -> tuple[Float32Array, Float32Array]:
    """Return, for every n-th pixel and a depth of 1: the ray (h, w, 3), and how far it goes forward."""
    u, v = np.meshgrid(
        np.arange(0, camera.width, stride, dtype=np.float32), np.arange(0, camera.height, stride, dtype=np.float32)
    )
    x, y = (u - np.float32(camera.cx)) / np.float32(camera.fx), (v - np.float32(camera.cy)) / np.float32(camera.fy)
    c, s = np.float32(np.cos(pitch_rad)), np.float32(np.sin(pitch_rad))
    return np.stack([x, y, np.ones_like(x)], axis=-1), np.maximum(c - s * y, np.float32(1e-3))


@lru_cache(maxsize=4)
def _bins(camera: Camera, pitch_rad: float) -> tuple[AnyArray, float, float, int]:
    """Return the direction's index of every pixel of a scan, the first angle, the increment, and how many there are."""
    rays, forward = _rays(camera, pitch_rad, _SCAN_STRIDE)
    angles = np.arctan2(-rays[..., 0], forward)
    low, high = float(angles.min()), float(angles.max())
    widest = float(np.abs(np.diff(angles, axis=1)).max())  # so that every direction has a pixel
    count = max(int((high - low) / widest), 1) + 1
    increment = (high - low) / (count - 1)
    return np.rint((angles - low) / increment).astype(np.intp), low, increment, count
