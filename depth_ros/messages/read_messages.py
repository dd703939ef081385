"""Values from the fields of ROS messages; the messages may be those of rclpy or of the library rosbags."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from depth_ros.errors import BadImage, BadInput
from depth_ros.stages.decode_image import SUPPORTED_ENCODINGS, decode_compressed, decode_image, unsupported_encoding
from depth_ros.types import AnyArray, Calibration, Float32Array, UInt8Array

_NS = 1_000_000_000
_DEPTHS = {'32FC1': ('f4', 1.0), '16UC1': ('u2', 1e-3), 'mono16': ('u2', 1e-3)}
"""Type and unit in metres of the depth images of REP 118; some drivers label 16UC1 as mono16."""
_FLOATS = {7: 'f4', 8: 'f8'}
"""Types of sensor_msgs/PointField."""


def stamp_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as nanoseconds."""
    return int(stamp.sec) * _NS + int(stamp.nanosec)


def image_pixels(message: Any) -> UInt8Array:
    """Decode an Image or CompressedImage as (H, W) grey or (H, W, 3) RGB; may share the memory of the message.

    Encodings that ``decode_image`` does not support are decoded by cv_bridge, where it is installed.

    Raises:
        BadImage: the message cannot be decoded.
    """
    if not hasattr(message, 'encoding'):
        return decode_compressed(message.format, message.data)
    if message.encoding not in SUPPORTED_ENCODINGS:
        return _decoded_by_cv_bridge(message)
    return decode_image(
        message.encoding, message.width, message.height, message.step, message.data, bool(message.is_bigendian)
    )


def _decoded_by_cv_bridge(message: Any) -> UInt8Array:
    try:
        from cv_bridge import CvBridge
    except ImportError as error:
        raise BadImage(
            f'{unsupported_encoding(message.encoding)}, or install cv_bridge, which may support it (ros-$ROS_DISTRO-'
            f'cv-bridge; {error})'
        ) from error
    try:
        rgb = CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except Exception as error:  # CvBridgeError, and errors of NumPy and OpenCV for damaged messages
        raise BadImage(
            f'{unsupported_encoding(message.encoding)}. cv_bridge does not decode it either: {error}'
        ) from error
    expected = (message.height, message.width, 3)
    if rgb.dtype != np.uint8 or rgb.shape != expected or not rgb.size:
        raise BadImage(
            f"cv_bridge decoded '{message.encoding}' as {rgb.dtype} of shape {rgb.shape}; expected uint8 of shape "
            f'{expected}. Check width, height and step of the image'
        )
    return np.asarray(rgb)


def depth_m(message: Any) -> Float32Array:
    """Return the depth of an Image, (H, W) metres; NaN = unknown. 32FC1 may share the memory of the message.

    Raises:
        BadImage: another encoding than 32FC1 or 16UC1 (REP 118), or less data than the header declares.
    """
    if message.encoding not in _DEPTHS:
        raise BadImage(
            f"the depth image is '{message.encoding}'; expected 32FC1 or 16UC1 (REP 118). Remap a depth topic"
        )
    code, unit_m = _DEPTHS[message.encoding]
    kind = np.dtype(('>' if message.is_bigendian else '<') + code)
    height, width, step = int(message.height), int(message.width), int(message.step)
    if step < width * kind.itemsize or len(message.data) < height * step:
        raise BadImage(
            f'the depth image of {width}x{height} has {len(message.data)} bytes and step {step}; expected '
            f'at least {height * step} bytes and a step of at least {width * kind.itemsize}. Check the publisher'
        )
    rows = np.frombuffer(message.data, np.uint8, height * step).reshape(height, step)
    raw = np.ascontiguousarray(rows[:, : width * kind.itemsize]).view(kind)
    metres: Float32Array = raw.astype(np.float32, copy=False)
    if kind.kind == 'u':
        metres = metres * np.float32(unit_m)
        metres[raw == 0] = np.nan
    return metres


def point_fields(message: Any, names: Sequence[str]) -> AnyArray:
    """Return fields of the points of a PointCloud2, (N,) structured, without a copy if rows are not padded.

    Raises:
        BadInput: a field is missing or not floating-point, or there is less data than declared.
    """
    fields = {field.name: field for field in message.fields}
    if not set(names) <= fields.keys() or any(fields[name].datatype not in _FLOATS for name in names):
        raise BadInput(
            f'the cloud has the fields {", ".join(fields)}; expected {", ".join(names)} as FLOAT32 or FLOAT64. '
            'Check the topic'
        )
    order = '>' if message.is_bigendian else '<'
    kind = np.dtype({
        'names': list(names),
        'formats': [order + _FLOATS[fields[name].datatype] for name in names],
        'offsets': [fields[name].offset for name in names],
        'itemsize': message.point_step,
    })  # fmt: skip
    needed, width_bytes = message.height * message.row_step, message.width * message.point_step
    if len(message.data) < needed or message.row_step < width_bytes:
        raise BadInput(
            f'the cloud of {message.width}x{message.height} points has {len(message.data)} bytes and row_step '
            f'{message.row_step}; expected at least {needed} bytes and a row_step of at least {width_bytes}. '
            'Check the publisher'
        )
    rows = np.frombuffer(message.data, np.uint8, needed).reshape(message.height, message.row_step)
    return np.ascontiguousarray(rows[:, :width_bytes]).view(kind).reshape(-1)


def calibration(message: Any) -> Calibration:
    """Return the values of a CameraInfo, not validated."""
    roi = message.roi
    return Calibration(
        width=message.width,
        height=message.height,
        k=tuple(map(float, message.k)),
        p=tuple(map(float, message.p)),
        d=tuple(map(float, message.d)),
        r=tuple(map(float, message.r)),
        distortion_model=message.distortion_model,
        binning=(max(message.binning_x, 1), max(message.binning_y, 1)),
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height) if roi.width and roi.height else None,
        frame_id=message.header.frame_id,
    )
