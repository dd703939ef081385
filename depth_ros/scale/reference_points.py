"""Projection of the points of another sensor to pixels of known depth, without occluded points."""

from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.types import AnyArray, Camera, Float32Array

_CELLS_ACROSS = 40
_OCCLUDED_RATIO = 1.1
"""Smaller ratios of depth are not regarded as one surface in front of another."""


@dataclass(frozen=True)
class ReferencePoints:
    """Points measured by a metric sensor at one time."""

    points_m: Float32Array
    """(N, 3) in the frame of the sensor, metres."""
    stamp_ns: int
    frame_id: str = ''


@dataclass(frozen=True)
class KnownPixels:
    """Pixels of known depth."""

    rows: AnyArray
    columns: AnyArray
    depth_m: Float32Array


def known_pixels(points_m: Float32Array, camera: Camera, sensor_to_camera: Float32Array) -> KnownPixels:
    """Project points into an image.

    Args:
        points_m: (N, 3) in the frame of the sensor; points with NaN or Inf are ignored, and those at the sensor
            itself, because many drivers write zeros for missing measurements.
        camera: Intrinsics of the rectified image.
        sensor_to_camera: (4, 4) pose of the sensor in the camera's optical frame.

    Returns:
        The points in front of the camera that fall inside the image and are not hidden by a nearer point close to them.
    """
    finite = points_m[np.isfinite(points_m).all(axis=1) & points_m.any(axis=1)]
    x, y, z = sensor_to_camera[:3, :3] @ finite.T + sensor_to_camera[:3, 3:]
    ahead = z > 1e-3
    x, y, z = x[ahead], y[ahead], z[ahead]
    column, row = np.rint(camera.fx * x / z + camera.cx), np.rint(camera.fy * y / z + camera.cy)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    rows, columns, depth = row[inside].astype(np.intp), column[inside].astype(np.intp), z[inside].astype(np.float32)
    visible = _visible(rows, columns, depth, camera, float(np.linalg.norm(sensor_to_camera[:3, 3])))
    return KnownPixels(rows[visible], columns[visible], depth[visible])


def _visible(rows: AnyArray, columns: AnyArray, depth_m: Float32Array, camera: Camera, distance_m: float) -> AnyArray:
    """Return whether each point is visible from the camera; all of them are measured by a sensor at some distance.

    A point is hidden by a nearer one beside it in the image if the sensor sees the two farther apart than that, that
    is, if their parallax differs by more than the spacing of the points.
    """
    if not depth_m.size:
        return np.zeros(0, bool)
    spacing = np.sqrt(camera.width * camera.height / depth_m.size)
    side = int(np.clip(np.ceil(spacing), 1, max(camera.width // _CELLS_ACROSS, 1)))
    nearest = _nearest_around(rows, columns, depth_m, camera, side)
    parallax_px = camera.fx * distance_m * (1 / nearest - 1 / depth_m)
    return np.asarray((depth_m <= _OCCLUDED_RATIO * nearest) | (parallax_px <= side))


def _nearest_around(
    rows: AnyArray, columns: AnyArray, depth_m: Float32Array, camera: Camera, side: int
) -> Float32Array:
    """Return, for each point, the smallest depth in its grid cell of ``side`` pixels and the adjacent cells."""
    cell_rows, cell_columns = rows // side, columns // side
    nearest = np.full((camera.height // side + 1, camera.width // side + 1), np.finfo(np.float32).max, np.float32)
    np.minimum.at(nearest, (cell_rows, cell_columns), depth_m)
    around = cv2.erode(nearest, np.ones((3, 3), np.uint8))
    return np.asarray(around[cell_rows, cell_columns])
