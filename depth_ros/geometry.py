"""Poses as 4x4 matrices."""

import math

import numpy as np

from depth_ros.types import Float32Array

_FORM = 'expected six numbers, x y z (m) roll pitch yaw (rad)'


def parse_pose(text: str) -> Float32Array:
    """Return the 4x4 matrix of ``"x y z roll pitch yaw"``: rotations about the fixed x, y, z axes, in this order.

    Raises:
        ValueError: the text is not six finite numbers.
    """
    try:
        numbers = [float(word) for word in text.replace(',', ' ').split()]
    except ValueError:
        raise ValueError(_FORM) from None
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise ValueError(_FORM)
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
