"""Fields of ROS messages → our values; the messages may be rclpy's or those of the library rosbags."""

from typing import Any

from depth_ros.stages.decode import decode_compressed, decode_image
from depth_ros.types import Calibration, UInt8Array

_NS = 1_000_000_000


def stamp_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as nanoseconds."""
    return int(stamp.sec) * _NS + int(stamp.nanosec)


def picture(message: Any) -> UInt8Array:
    """Decode an Image or CompressedImage as (H, W) grey or (H, W, 3) RGB; may share the message's memory.

    Raises:
        BadImage: the message cannot be decoded.
    """
    if not hasattr(message, 'encoding'):
        return decode_compressed(message.format, message.data)
    return decode_image(
        message.encoding, message.width, message.height, message.step, message.data, bool(message.is_bigendian)
    )


def calibration(message: Any) -> Calibration:
    """Return what a CameraInfo states, unchecked."""
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
