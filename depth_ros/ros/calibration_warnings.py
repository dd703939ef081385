"""Warnings about a calibration that is usable but probably wrong."""

from collections.abc import Iterator

from depth_ros.stages.intrinsics import looks_unrectified
from depth_ros.types import Calibration


def calibration_warnings(image_frame: str, info: Calibration, side: str, rectify: bool) -> Iterator[tuple[str, str]]:
    """Yield kind and text of every warning.

    Args:
        image_frame: frame_id of the image.
        info: Calibration of the image.
        side: Name of the image in the text.
        rectify: Whether this node rectifies the image.
    """
    if image_frame != info.frame_id:
        used = 'that of the image' if image_frame else 'that of the camera_info'
        yield (
            'frame_id',
            f"{side} has frame_id '{image_frame}', its camera_info '{info.frame_id}'; {used} is used. Configure the "
            'driver to publish the optical frame in both',
        )
    if not rectify and looks_unrectified(info):
        yield (
            'unrectified',
            f'camera_info of the {side} has distortion but no rectification (P is K), so the images are probably '
            'unrectified. Set rectify: true, or subscribe to rectified topics',
        )
