"""Points of another sensor → pixels with known depth, without those that the camera cannot see."""

from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.types import AnyArray, Camera, Float32Array

_CELLS_ACROSS = 40
_BEHIND = 1.1
"""A point this much farther than another in its neighbourhood is hidden by it: two sensors look from two places."""


@dataclass(frozen=True)
class ReferencePoints:
    """What a metric sensor measured at one instant."""

    points_m: Float32Array
    """(N, 3) in the sensor's own frame, metres."""
    stamp_ns: int
    frame_id: str = ''


@dataclass(frozen=True)
class KnownPixels:
    """Pixels of a camera whose depth is known."""

    rows: AnyArray
    columns: AnyArray
    depth_m: Float32Array


def known_pixels(points_m: Float32Array, camera: Camera, sensor_to_camera: Float32Array) -> KnownPixels:
    """Project points into a picture.

    Args:
        points_m: (N, 3) in the sensor's frame; those with NaN or Inf are left out.
        camera: Of the rectified picture.
        sensor_to_camera: (4, 4) pose of the sensor in the camera's optical frame.

    Returns:
        The points before the camera, inside the picture, and not behind a nearer point of their neighbourhood.
    """
    finite = points_m[np.isfinite(points_m).all(axis=1)]
    x, y, z = sensor_to_camera[:3, :3] @ finite.T + sensor_to_camera[:3, 3:]
    ahead = z > 1e-3
    x, y, z = x[ahead], y[ahead], z[ahead]
    column, row = np.rint(camera.fx * x / z + camera.cx), np.rint(camera.fy * y / z + camera.cy)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    rows, columns, depth = row[inside].astype(np.intp), column[inside].astype(np.intp), z[inside].astype(np.float32)
    seen = depth <= _BEHIND * _nearest_around(rows, columns, depth, camera)
    return KnownPixels(rows[seen], columns[seen], depth[seen])


def _nearest_around(rows: AnyArray, columns: AnyArray, depth_m: Float32Array, camera: Camera) -> Float32Array:
    """Return the smallest depth in each point's cell and the cells beside it."""
    side = max(camera.width // _CELLS_ACROSS, 1)
    cell_rows, cell_columns = rows // side, columns // side
    nearest = np.full((camera.height // side + 1, camera.width // side + 1), np.finfo(np.float32).max, np.float32)
    np.minimum.at(nearest, (cell_rows, cell_columns), depth_m)
    around = cv2.erode(nearest, np.ones((3, 3), np.uint8))
    return np.asarray(around[cell_rows, cell_columns])
