"""Synthetic stereo pairs of known disparity, made from noise, with calibrations."""

import cv2
import numpy as np
import yaml

from depth_ros.files.calibration_files import stereo_calibration
from depth_ros.stages.intrinsics import stereo_rig
from depth_ros.types import Calibration, Float32Array, StereoFrame, StereoRig, UInt8Array


def texture(height: int, width: int, seed: int = 0) -> UInt8Array:
    """Return smooth grey noise, which is distinctive everywhere."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def pair(disparity_px: Float32Array, seed: int = 0) -> tuple[UInt8Array, UInt8Array]:
    """Return left and right views of a surface with the given disparity at every pixel of the right view."""
    height, width = disparity_px.shape
    left = texture(height, width, seed)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return left, cv2.remap(left, columns + disparity_px, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def bent(image: UInt8Array, shift_px: float = 0.0, roll_deg: float = 0.0, scale: float = 0.0) -> UInt8Array:
    """Return a right image whose camera has moved: shifted down, rotated clockwise and enlarged about its centre."""
    height, width = image.shape[:2]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    cos, sin = (1 + scale) * np.cos(np.deg2rad(roll_deg)), (1 + scale) * np.sin(np.deg2rad(roll_deg))
    rotation = np.array([[cos, -sin], [sin, cos]])
    warp = np.column_stack((rotation, centre - rotation @ centre + (0, shift_px)))
    return cv2.warpAffine(image, warp, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def calibrations(
    width: int = 320, height: int = 240, focal: float = 300.0, baseline_m: float = 0.1, offset_px: float = 0.0
) -> tuple[Calibration, Calibration]:
    """Return the calibrations of a rectified pair; ``offset_px`` = cx_left - cx_right."""

    def k(cx: float) -> tuple[float, ...]:
        return (focal, 0.0, cx, 0.0, focal, height / 2, 0.0, 0.0, 1.0)

    return stereo_calibration(width, height, k(width / 2), k(width / 2 - offset_px), baseline_m)


def frame(
    disparity_px: Float32Array, focal: float = 300.0, baseline_m: float = 0.1, offset_px: float = 0.0
) -> StereoFrame:
    """Return a frame of a surface with the given raw disparity."""
    height, width = disparity_px.shape
    left, right = pair(disparity_px)
    rig: StereoRig = stereo_rig(*calibrations(width, height, focal, baseline_m, offset_px), width, height)
    return StereoFrame(left, right, rig)


def write_info(path, calibration):
    """Write a camera_info YAML in the format of camera_calibration."""
    shapes = {'camera_matrix': calibration.k, 'rectification_matrix': calibration.r, 'projection_matrix': calibration.p,
              'distortion_coefficients': calibration.d}  # fmt: skip
    info = {name: {'data': list(values)} for name, values in shapes.items()}
    info |= {'image_width': calibration.width, 'image_height': calibration.height, 'distortion_model': 'plumb_bob'}
    path.write_text(yaml.safe_dump(info))
