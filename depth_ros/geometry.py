"""Pixel rays, poses as 4x4 matrices, and the mounting pose of a camera."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_ros.types import AnyArray, Camera, Float32Array, Float64Array

Translation = tuple[float, float, float]
"""x, y, z in metres."""
Quaternion = tuple[float, float, float, float]
"""x, y, z, w."""
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


def pose_matrix(translation: Translation, quaternion: Quaternion) -> Float32Array:
    """Return the 4x4 matrix of a translation and a unit quaternion (x, y, z, w)."""
    return precise_pose_matrix(translation, quaternion).astype(np.float32)


def precise_pose_matrix(translation: Translation, quaternion: Quaternion) -> Float64Array:
    """Return the same in double precision, for poses far from the origin of their frame."""
    x, y, z, w = quaternion
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix


def quaternion_of(rotation: Float64Array) -> Quaternion:
    """Return the unit quaternion (x, y, z, w) of a (3, 3) rotation, computed from its largest component.

    Shepperd, "Quaternion from rotation matrix", Journal of Guidance and Control 1 (3), 1978.
    """
    r, trace = rotation, float(np.trace(rotation))
    # Row i holds 4 q_i (x, y, z, w).
    products = np.array([
        [1 + 2 * r[0, 0] - trace, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
        [r[0, 1] + r[1, 0], 1 + 2 * r[1, 1] - trace, r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
        [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 1 + 2 * r[2, 2] - trace, r[1, 0] - r[0, 1]],
        [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], 1 + trace],
    ])  # fmt: skip
    largest = products[int(np.argmax(np.diag(products)))]
    x, y, z, w = (largest / np.linalg.norm(largest)).tolist()
    return x, y, z, w


def interpolated_pose(
    before: tuple[Translation, Quaternion], after: tuple[Translation, Quaternion], fraction: float
) -> tuple[Translation, Quaternion]:
    """Return the pose between two poses: translation linear, rotation by slerp along the shorter arc.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.

    Args:
        before: Translation and unit quaternion (x, y, z, w).
        after: The same of the second pose.
        fraction: 0 = the first pose, 1 = the second pose.
    """
    a, b = np.array(before[1]), np.array(after[1])
    b = b if a @ b >= 0 else -b
    angle = math.acos(min(float(a @ b), 1.0))
    if angle < 1e-6:
        q = (1 - fraction) * a + fraction * b
    else:
        q = (math.sin((1 - fraction) * angle) * a + math.sin(fraction * angle) * b) / math.sin(angle)
    t = (1 - fraction) * np.array(before[0]) + fraction * np.array(after[0])
    return tuple(t.tolist()), tuple((q / np.linalg.norm(q)).tolist())
