"""A camera's messages → the frame that they show. For rclpy's messages and those of the library rosbags alike."""

from typing import Any

from depth_ros.messages.read_messages import image_pixels, stamp_ns
from depth_ros.pipeline import mono_frame, stereo_frame
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.stages.rectify import Rectifier
from depth_ros.types import Calibration, Frame, StereoFrame


def mono_frame_of(
    image: Any, info: Calibration | None, settings: MonoSettings, rectifier: Rectifier | None = None
) -> Frame:
    """Decode one image; its own frame_id counts, else that of the camera_info.

    Raises:
        BadImage, BadCameraInfo: what is wrong with the messages.
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
) -> StereoFrame:
    """Decode a pair; stamp and frame_id are the left image's, or its camera_info's.

    Raises:
        BadImage, BadCameraInfo: what is wrong with the messages.
    """
    head = left.header
    stamp, frame_id = stamp_ns(head.stamp), head.frame_id or left_info.frame_id
    return stereo_frame(
        image_pixels(left), image_pixels(right), left_info, right_info, settings, stamp, frame_id, rectifier
    )
