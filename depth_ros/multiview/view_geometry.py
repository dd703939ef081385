"""Geometry of two views with known poses: distance of poses, parallax and overlap."""

import math
from dataclasses import dataclass

import numpy as np

from depth_ros.types import Float64Array, View

_COLUMNS, _ROWS = 8, 6


@dataclass(frozen=True)
class Parallax:
    """What one view shows of a plane that is parallel to the image of another view."""

    overlap: float
    """Share of the reference image that is visible in the source, 0 to 1."""
    mean_px: float
    """Mean distance in the source between the images of a point on the plane and of a point at infinity on the same
    ray, over the visible part; 0 without overlap. Rotation alone gives 0."""


def pose_distance(first: Float64Array, second: Float64Array) -> float:
    """Return the distance of two (4, 4) poses: sqrt(|t|² + 2/3 tr(I - R)), t in metres.

    After Düzçeker et al., "DeepVideoMVS", CVPR 2021. A rotation by a small angle counts 0.8 m per radian.
    """
    relative = np.linalg.inv(first) @ second
    return math.sqrt(float(np.sum(relative[:3, 3] ** 2)) + max(2 / 3 * (3 - float(np.trace(relative[:3, :3]))), 0.0))


def baseline_m(first: Float64Array, second: Float64Array) -> float:
    """Return the distance of the positions of two (4, 4) poses, metres."""
    return float(np.linalg.norm(first[:3, 3] - second[:3, 3]))


def rotation_rad(first: Float64Array, second: Float64Array) -> float:
    """Return the angle of the rotation between two (4, 4) poses, radians."""
    cosine = (float(np.trace(first[:3, :3].T @ second[:3, :3])) - 1) / 2
    return math.acos(min(max(cosine, -1.0), 1.0))


def source_from_reference(reference: View, source: View) -> Float64Array:
    """Return the (4, 4) matrix that takes points of the optical frame of the reference to that of the source."""
    return np.linalg.inv(source.pose) @ reference.pose


def parallax(reference: View, source: View, depth_m: float) -> Parallax:
    """Return overlap and parallax for a plane at a depth of the reference."""
    camera = reference.camera
    columns, rows = np.meshgrid(
        (np.arange(_COLUMNS) + 0.5) * camera.width / _COLUMNS - 0.5,
        (np.arange(_ROWS) + 0.5) * camera.height / _ROWS - 0.5,
    )
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(columns)], axis=-1)
    motion = source_from_reference(reference, source)
    far = rays.reshape(-1, 3) @ motion[:3, :3].T
    near = far + motion[:3, 3] / depth_m
    to = source.camera
    in_front = np.minimum(far[:, 2], near[:, 2]) > 0.1
    at, infinity = (each[in_front] / each[in_front, 2:] for each in (near, far))
    x, y = to.fx * at[:, 0] + to.cx, to.fy * at[:, 1] + to.cy
    visible = (x >= 0) & (x <= to.width - 1) & (y >= 0) & (y <= to.height - 1)
    if not visible.any():
        return Parallax(0.0, 0.0)
    moved = np.hypot(to.fx * (at - infinity)[visible, 0], to.fy * (at - infinity)[visible, 1])
    return Parallax(float(visible.sum() / in_front.size), float(moved.mean()))
