"""What looks wrong with a calibration that can be used."""

from collections.abc import Iterator

from depth_ros.stages.intrinsics import looks_unrectified
from depth_ros.types import Calibration


def calibration_warnings(image_frame: str, info: Calibration, side: str, rectify: bool) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of every warning.

    Args:
        image_frame: frame_id of the image.
        info: Its calibration.
        side: What to call the image.
        rectify: Whether it is rectified here.
    """
    if image_frame != info.frame_id:
        used = "the image's is used" if image_frame else "the camera_info's is used"
        yield (
            'frame_id',
            f"{side} has frame_id '{image_frame}', its camera_info '{info.frame_id}'; {used}. Let the driver publish "
            'the optical frame in both',
        )
    if not rectify and looks_unrectified(info):
        yield (
            'unrectified',
            f'camera_info of the {side} has distortion but no rectification (P is K): are these raw images? Set '
            'rectify: true, or subscribe to rectified topics',
        )
