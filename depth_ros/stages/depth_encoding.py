"""Depth in the two encodings of REP 118, metres or 16-bit millimetres, and as compressedDepth of image_transport."""

import struct

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import AnyArray, Float32Array, UInt8Array

_MAX_M = 65.535
COMPRESSED_DEPTH_FORMAT = '16UC1; compressedDepth png'
"""``format`` of the sensor_msgs/CompressedImage that contains ``compressed_depth``."""
_CONFIG_HEADER = struct.pack('<iff', 0, 0.0, 0.0)
"""ConfigHeader of compressed_depth_image_transport: INV_DEPTH and two parameters that 16UC1 does not use."""


def to_millimetres(depth_m: Float32Array) -> npt.NDArray[np.uint16]:
    """Round depth to millimetres; 0 where it is not finite, not positive, or more than 65.535 m."""
    with np.errstate(invalid='ignore'):
        fits = (depth_m > 0) & (depth_m <= _MAX_M)
    return np.where(fits, depth_m * np.float32(1000.0) + np.float32(0.5), 0).astype(np.uint16)


def encoded(depth_m: Float32Array, encoding: str) -> AnyArray:
    """Return depth in the encoding of a depth image: 32FC1 (metres, unchanged) or 16UC1 (millimetres)."""
    return to_millimetres(depth_m) if encoding == '16UC1' else depth_m


def compressed_depth(depth_m: Float32Array) -> UInt8Array:
    """Return depth as the data of image_transport's ``compressedDepth``: its header of 12 bytes, then a PNG.

    The PNG is lossless and contains what ``to_millimetres`` returns. Format: ``codec.cpp`` and ``compression_common.h``
    of compressed_depth_image_transport.

    Args:
        depth_m: (H, W) metres; 0 in the PNG where it is not finite, not positive, or more than 65.535 m.

    Returns:
        (N,) bytes.
    """
    # OpenCV's default parameters are its fastest; setting a compression level takes twice as long.
    _, png = cv2.imencode('.png', to_millimetres(depth_m))
    return np.concatenate((np.frombuffer(_CONFIG_HEADER, np.uint8), png))
