"""Frames from the messages of a camera; the messages may be those of rclpy or of the library rosbags."""

from typing import Any

from depth_ros.messages.read_messages import image_pixels, stamp_ns
from depth_ros.pipeline import mono_frame, stereo_frame
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.stages.rectify import Rectifier
from depth_ros.types import Calibration, Frame, RowShift, StereoFrame


def mono_frame_of(
    image: Any, info: Calibration | None, settings: Settings, rectifier: Rectifier | None = None
) -> Frame:
    """Decode one image; the frame_id is that of the image, or of the camera_info if the image has none.

    Raises:
        BadImage, BadCameraInfo: a message is unusable.
    """
    frame_id = image.header.frame_id or (info.frame_id if info is not None else '')
    return mono_frame(image_pixels(image), info, settings, stamp_ns(image.header.stamp), frame_id, rectifier)


def stereo_frame_of(
    left: Any,
    right: Any,
    left_info: Calibration,
    right_info: Calibration,
    settings: StereoSettings,
    rectifier: Rectifier | None = None,
    row_shift: RowShift | None = None,
) -> StereoFrame:
    """Decode a pair; stamp and frame_id are those of the left image (frame_id of its camera_info if it has none).

    Raises:
        BadImage, BadCameraInfo: a message is unusable.
    """
    head = left.header
    stamp, frame_id = stamp_ns(head.stamp), head.frame_id or left_info.frame_id
    images = image_pixels(left), image_pixels(right)
    return stereo_frame(*images, left_info, right_info, settings, stamp, frame_id, rectifier, row_shift)
