"""Downscaling of stereo pairs together with their geometry."""

from dataclasses import replace

import cv2
import numpy as np

from depth_ros.types import StereoFrame


def resized(frame: StereoFrame, scale: float) -> StereoFrame:
    """Shrink both images by area averaging and the intrinsics with them; a scale of 1 returns the frame itself."""
    if scale == 1.0:
        return frame
    height, width = frame.left.shape[:2]
    size = (round(width * scale), round(height * scale))
    left, right = (
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)) for image in (frame.left, frame.right)
    )
    row_shift = frame.row_shift and frame.row_shift.resized(scale)
    return replace(frame, left=left, right=right, rig=frame.rig.resized(*size), row_shift=row_shift)
