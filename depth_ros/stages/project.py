"""Depth map → points in the camera's optical frame."""

from functools import lru_cache

import cv2
import numpy as np

from depth_ros.errors import BadCameraInfo
from depth_ros.types import Camera, Cloud, DepthMap, Float32Array, UInt8Array


def project(
    depth: DepthMap, colored: bool = False, organized: bool = True, stride: int = 1, out: Float32Array | None = None
) -> Cloud:
    """Back-project every ``stride``-th pixel: ``x = (u - cx) / fx * z``, ``y = (v - cy) / fy * z``.

    Args:
        colored: Add a fourth column, ``rgb`` packed as PCL does; grey pictures give grey points.
        organized: Keep the grid and write NaN where the depth is not finite; else return only the finite points.
        out: (H, W, C) float32 to write into, for callers that reuse memory; its shape must fit.

    Raises:
        BadCameraInfo: the map has no camera.

    Returns:
        Points that share ``out``'s memory if it was given and the cloud is organized.
    """
    if depth.camera is None:
        raise BadCameraInfo('there is no camera_info, so no points; publish the calibration of the camera')
    z = np.ascontiguousarray(depth.depth_m[::stride, ::stride])
    z = cv2.add(z, cv2.subtract(z, z))  # inf - inf = NaN: what is not finite becomes NaN in all three columns
    x_per_z, y_per_z = _rays(depth.camera, stride)
    columns = [cv2.multiply(z, x_per_z), cv2.multiply(z, y_per_z), z]
    if colored:
        columns.append(_packed_rgb(np.ascontiguousarray(depth.image[::stride, ::stride])))
    if out is None:
        out = np.empty((*z.shape, len(columns)), np.float32)
    cv2.merge(columns, out)
    points = out if organized else out[np.isfinite(z)]
    return Cloud(points, depth.stamp_ns, depth.frame_id)


@lru_cache(maxsize=4)
def _rays(camera: Camera, stride: int) -> tuple[Float32Array, Float32Array]:
    """Return x / z and y / z of every sampled pixel, each (H, W)."""
    x = (np.arange(0, camera.width, stride) - camera.cx) / camera.fx
    y = (np.arange(0, camera.height, stride) - camera.cy) / camera.fy
    xx, yy = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return xx, yy


def _packed_rgb(image: UInt8Array) -> Float32Array:
    """Pack a picture as 0x00RRGGBB and hand out the bits as float32."""
    code = cv2.COLOR_GRAY2BGRA if image.ndim == 2 else cv2.COLOR_RGB2BGRA
    packed = np.asarray(cv2.cvtColor(image, code)).view(np.uint32)[..., 0]  # little-endian: A R G B from the top
    return np.asarray(np.bitwise_and(packed, np.uint32(0x00FFFFFF))).view(np.float32)
