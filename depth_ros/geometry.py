"""Pixel rays, poses as 4x4 matrices, and the mounting pose of a camera."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_ros.types import AnyArray, Camera, Float32Array

_EXPECTED = 'expected six numbers, x y z (m) roll pitch yaw (rad)'


@dataclass(frozen=True)
class Mount:
    """Pose of a camera relative to the floor; the camera has no roll."""

    height_m: float
    """Height above the floor."""
    pitch_rad: float = 0.0
    """Pitch down from level."""


@dataclass(frozen=True)
class Band:
    """A range of heights above the floor."""

    low_m: float
    high_m: float


def pixel_slopes(
    camera: Camera, columns: AnyArray, rows: AnyArray, dtype: npt.DTypeLike = np.float32
) -> tuple[AnyArray, AnyArray]:
    """Return ``x / z = (u - cx) / fx`` and ``y / z = (v - cy) / fy`` at the pixels of a grid, each (rows, columns)."""
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    grid_x, grid_y = np.meshgrid(x.astype(dtype), y.astype(dtype))
    return grid_x, grid_y


def parse_pose(text: str) -> Float32Array:
    """Return the 4x4 matrix of ``"x y z roll pitch yaw"``: rotations about the fixed x, y, z axes, in this order.

    Raises:
        ValueError: the text is not six finite numbers.
    """
    try:
        numbers = [float(number) for number in text.replace(',', ' ').split()]
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise ValueError(_EXPECTED)
    x, y, z, roll, pitch, yaw = numbers
    half = [angle / 2 for angle in (roll, pitch, yaw)]
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle), math.sin(angle)) for angle in half)
    return pose_matrix(
        (x, y, z),
        (
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ),
    )


def pose_matrix(translation: tuple[float, float, float], quaternion: tuple[float, float, float, float]) -> Float32Array:
    """Return the 4x4 matrix of a translation and a unit quaternion (x, y, z, w)."""
    x, y, z, w = quaternion
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix
