"""Intrinsics and stereo geometry from published calibrations, which are validated here."""

import math

import numpy as np

from depth_ros.errors import BadCameraInfo
from depth_ros.types import Calibration, Camera, StereoRig

_MAX_ASPECT = 3.0
"""fx / fy (or its inverse) beyond this indicates an error in the calibration."""
_ROW_TOLERANCE_PX = 1.0
_FOCAL_TOLERANCE = 0.01


def rectified_camera(calibration: Calibration, width: int, height: int, side: str = 'camera') -> Camera:
    """Return the intrinsics of a rectified image of the given size.

    P is used, or K where P is all zero (the image needs no rectification). Binning and region of interest are
    applied as image_geometry does: ``c' = (c - offset) / binning``.

    Args:
        side: Name of the camera in errors.

    Raises:
        BadCameraInfo: the calibration is missing, not finite, implausible, or does not match the size of the image.
    """
    _check_size(calibration, width, height, side)
    fx, fy, cx, cy = _intrinsics(calibration, side)
    bin_x, bin_y = calibration.binning
    x0, y0 = calibration.roi[:2] if calibration.roi else (0, 0)
    camera = Camera(
        width=width, height=height, fx=fx / bin_x, fy=fy / bin_y, cx=(cx - x0) / bin_x, cy=(cy - y0) / bin_y
    )
    if not (-width <= camera.cx <= 2 * width and -height <= camera.cy <= 2 * height):
        raise BadCameraInfo(
            f'{side} camera_info puts the principal point at ({camera.cx:g}, {camera.cy:g}) of a {width}x{height} '
            'image; expected it in or near the image. Recalibrate, or check binning and roi'
        )
    return camera


def stereo_rig(left: Calibration, right: Calibration, width: int, height: int) -> StereoRig:
    """Return the geometry of a rectified pair whose images both have the given size.

    The baseline is ``-P_right[3] / P_right[0]`` (sensor_msgs/CameraInfo: Tx = -fx * B).

    Raises:
        BadCameraInfo: either calibration is unusable, or the two do not describe a rectified left-right pair.
    """
    left_camera = rectified_camera(left, width, height, 'left')
    right_camera = rectified_camera(right, width, height, 'right')
    _check_rows(left_camera, right_camera)
    return StereoRig(left_camera, right_camera.cx, _baseline_m(left, right))


def _intrinsics(calibration: Calibration, side: str) -> tuple[float, float, float, float]:
    p, k = calibration.p, calibration.k
    fx, fy, cx, cy = (p[0], p[5], p[2], p[6]) if any(p) else (k[0], k[4], k[2], k[5])
    name = 'p' if any(p) else 'k'
    if not any((fx, fy, cx, cy)):
        raise BadCameraInfo(
            f'{side} camera_info has k[0] = 0 and p[0] = 0: the camera is uncalibrated (sensor_msgs/CameraInfo). '
            'Calibrate it (camera_calibration) and use the result'
        )
    if not all(map(math.isfinite, (fx, fy, cx, cy))) or fx <= 0 or fy <= 0:
        raise BadCameraInfo(
            f'{side} camera_info.{name} has fx = {fx:g}, fy = {fy:g}, cx = {cx:g}, cy = {cy:g}; expected finite '
            'numbers with fx > 0 and fy > 0. Recalibrate'
        )
    if not 1 / _MAX_ASPECT <= fx / fy <= _MAX_ASPECT:
        raise BadCameraInfo(
            f'{side} camera_info.{name} has fx = {fx:g} and fy = {fy:g}; expected similar values (a ratio of at '
            f'most {_MAX_ASPECT:g}). Recalibrate'
        )
    return fx, fy, cx, cy


def _check_size(calibration: Calibration, width: int, height: int, side: str) -> None:
    bin_x, bin_y = calibration.binning
    full = calibration.roi[2:] if calibration.roi else (calibration.width, calibration.height)
    expected = (full[0] // bin_x, full[1] // bin_y)
    if expected != (width, height):
        raise BadCameraInfo(
            f'{side} image is {width}x{height} but its camera_info describes {expected[0]}x{expected[1]} '
            f'(calibrated at {calibration.width}x{calibration.height}, binning {bin_x}x{bin_y}, '
            f'roi {calibration.roi or "full"}). If the image was resized, resize its camera_info too (as '
            'image_proc resize does) or set its binning'
        )


def _check_rows(left: Camera, right: Camera) -> None:
    for name, a, b, tolerance in (
        ('fx', left.fx, right.fx, _FOCAL_TOLERANCE * left.fx),
        ('fy', left.fy, right.fy, _FOCAL_TOLERANCE * left.fy),
        ('cy', left.cy, right.cy, _ROW_TOLERANCE_PX),
    ):
        if abs(a - b) > tolerance:
            raise BadCameraInfo(
                f'left and right camera_info.p differ in {name} ({a:g} and {b:g}); expected a rectified pair, whose '
                'rows match. Calibrate the pair together, or set rectify if the images are raw'
            )


def _baseline_m(left: Calibration, right: Calibration) -> float:
    if not any(right.p):
        raise BadCameraInfo(
            'right camera_info.p is all zero; expected the baseline in p[3]. Depth in metres is impossible '
            'without it: calibrate the pair as a stereo camera'
        )
    tx = right.p[3]
    if tx < 0 and math.isfinite(tx):
        return -tx / right.p[0]
    if tx == 0 and left.p[3] < 0:
        raise BadCameraInfo(
            f'left camera_info.p[3] is {left.p[3]:g} and right camera_info.p[3] is 0: left and right are swapped. '
            'Exchange them'
        )
    raise BadCameraInfo(
        f'right camera_info.p[3] is {tx:g}; expected -fx * baseline, a negative number. '
        'Depth in metres is impossible without a baseline: calibrate the pair as a stereo camera'
    )


def looks_unrectified(calibration: Calibration) -> bool:
    """Return whether a calibration has distortion but no rectification: the left part of P equals K."""
    p = calibration.p
    return any(calibration.d) and (not any(p) or np.allclose((*p[0:3], *p[4:7], *p[8:11]), calibration.k))
