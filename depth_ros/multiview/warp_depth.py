"""A depth map as it is seen from another pose."""

import numpy as np

from depth_ros.types import Camera, Float32Array, Float64Array

_ROUNDING_PX = 1e-3


def warp_depth(
    depth_m: Float32Array, confidence: Float32Array, camera: Camera, pose: Float64Array, new_pose: Float64Array
) -> tuple[Float32Array, Float32Array]:
    """Return depth and confidence of known pixels, seen by the same camera from another pose.

    Every pixel is projected to the pixels around its new position; the nearest surface is kept. Pixels that no known
    pixel is projected to are unknown: nothing is interpolated.

    Args:
        depth_m: (H, W) metres; only finite positive values are used.
        confidence: (H, W).
        camera: Intrinsics of the depth map.
        pose: (4, 4) pose of the optical frame at which the depth map was measured.
        new_pose: (4, 4) new pose, in the same frame.

    Returns:
        (H, W) metres, NaN = unknown; (H, W) confidence, 0 where unknown.
    """
    height, width = depth_m.shape
    rows, columns = np.nonzero(np.isfinite(depth_m) & (depth_m > 0))
    z = depth_m[rows, columns].astype(np.float64)
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(z)])
    motion = np.linalg.inv(new_pose) @ pose
    points = motion[:3, :3] @ (rays * z) + motion[:3, 3:]
    in_front = np.flatnonzero(points[2] > 1e-3)
    x, y, new_z = points[:, in_front]
    u, v = camera.fx * x / new_z + camera.cx, camera.fy * y / new_z + camera.cy
    order = np.argsort(-new_z, kind='stable')  # far to near: the nearest is written last
    depth, certain = np.full((height, width), np.nan, np.float32), np.zeros((height, width), np.float32)
    nearest = np.full(height * width, np.inf)
    found = confidence[rows, columns][in_front]
    for at_rows in (np.floor(v + _ROUNDING_PX), np.ceil(v - _ROUNDING_PX)):
        for at_columns in (np.floor(u + _ROUNDING_PX), np.ceil(u - _ROUNDING_PX)):
            inside = (at_rows >= 0) & (at_rows < height) & (at_columns >= 0) & (at_columns < width)
            chosen = order[inside[order]]
            target = (at_rows[chosen] * width + at_columns[chosen]).astype(np.int64)
            closer = new_z[chosen] < nearest[target]
            chosen, target = chosen[closer], target[closer]
            nearest[target] = new_z[chosen]
            depth.reshape(-1)[target], certain.reshape(-1)[target] = new_z[chosen], found[chosen]
    return depth, certain
