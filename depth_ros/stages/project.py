"""Point clouds from depth maps, in the optical frame of the camera."""

import cv2
import numpy as np

from depth_ros.errors import BadCameraInfo
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.types import Cloud, DepthMap, Float32Array, UInt8Array


def project(
    depth: DepthMap,
    colored: bool = False,
    organized: bool = True,
    stride: int = 1,
    out: Float32Array | None = None,
    rays: PixelRays | None = None,
) -> Cloud:
    """Back-project every ``stride``-th pixel: ``x = (u - cx) / fx * z``, ``y = (v - cy) / fy * z``.

    Args:
        colored: Add a fourth column, ``rgb`` packed as in PCL; grey images give grey points.
        organized: Keep the grid and write NaN where the depth is not finite; if False, return only the finite points.
        out: (H, W, C) float32 to write into, to reuse memory; must have the shape of the grid.
        rays: Pixel rays of the camera, kept between calls; computed for this call if None.

    Raises:
        BadCameraInfo: the map has no camera.

    Returns:
        Points that share ``out``'s memory if it was given and the cloud is organized.
    """
    if depth.camera is None:
        raise BadCameraInfo(
            'no camera_info received, so points cannot be computed: publish the calibration of the camera'
        )
    z = np.ascontiguousarray(depth.depth_m[::stride, ::stride])
    z = cv2.add(z, cv2.subtract(z, z))  # inf - inf = NaN: values that are not finite become NaN
    slopes = (rays or PixelRays()).slopes(depth.camera, stride)
    columns = [cv2.multiply(z, slopes.x), cv2.multiply(z, slopes.y), z]
    if colored:
        columns.append(_packed_rgb(np.ascontiguousarray(depth.image[::stride, ::stride])))
    if out is None:
        out = np.empty((*z.shape, len(columns)), np.float32)
    cv2.merge(columns, out)
    points = out if organized else out[np.isfinite(z)]
    return Cloud(points, depth.stamp_ns, depth.frame_id)


def _packed_rgb(image: UInt8Array) -> Float32Array:
    """Pack an image as 0x00RRGGBB and return the bits as float32."""
    code = cv2.COLOR_GRAY2BGRA if image.ndim == 2 else cv2.COLOR_RGB2BGRA
    packed = np.asarray(cv2.cvtColor(image, code)).view(np.uint32)[..., 0]  # little-endian: A R G B from the top
    return np.asarray(np.bitwise_and(packed, np.uint32(0x00FFFFFF))).view(np.float32)
