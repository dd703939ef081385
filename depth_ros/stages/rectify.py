"""Rectification of raw images."""

from functools import lru_cache

import cv2
import numpy as np

from depth_ros.errors import BadCameraInfo
from depth_ros.stages.align_rows import source_of_aligned
from depth_ros.types import AnyArray, Calibration, RowShift, UInt8Array

_MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant', '')


class Rectifier:
    """Rectifies the images of one camera or stereo pair; the maps are computed once per calibration."""

    def __init__(self) -> None:
        self._maps = lru_cache(maxsize=2)(_maps)  # left and right

    def rectify(
        self, image: UInt8Array, calibration: Calibration, side: str = 'camera', row_shift: RowShift | None = None
    ) -> UInt8Array:
        """Undistort and rectify one image by its K, D, R and P; pixels outside the raw image are 0.

        Args:
            image: The raw image.
            calibration: Calibration of the image.
            side: Name of the image in messages.
            row_shift: Shift of the rows that is also removed, in pixels of the image.

        Raises:
            BadCameraInfo: K or P is unusable, the size differs, or the distortion model is not supported.
        """
        map_xy, map_fraction = self._maps(calibration, side, row_shift)
        if image.shape[:2] != map_xy.shape[:2]:
            raise BadCameraInfo(
                f'{side} image is {image.shape[1]}x{image.shape[0]} but its camera_info describes '
                f'{map_xy.shape[1]}x{map_xy.shape[0]}; use the calibration of this size'
            )
        return np.asarray(cv2.remap(image, map_xy, map_fraction, cv2.INTER_LINEAR))


def rectify(image: UInt8Array, calibration: Calibration, side: str = 'camera') -> UInt8Array:
    """Rectify a single image; ``Rectifier`` keeps the maps for the next one.

    Raises:
        BadCameraInfo: as ``Rectifier.rectify``.
    """
    return Rectifier().rectify(image, calibration, side)


def _maps(calibration: Calibration, side: str, row_shift: RowShift | None) -> tuple[AnyArray, AnyArray]:
    k, p = np.reshape(calibration.k, (3, 3)), np.reshape(calibration.p, (3, 4))[:, :3]
    if not (np.isfinite((*calibration.k, *calibration.p, *calibration.d)).all() and k[0, 0] > 0 and p[0, 0] > 0):
        raise BadCameraInfo(
            f'{side} camera_info has k[0] = {k[0, 0]:g} and p[0] = {p[0, 0]:g}; rectify: true requires finite K, D, R '
            'and P of a stereo calibration. Calibrate the pair (camera_calibration)'
        )
    if calibration.distortion_model not in _MODELS:
        raise BadCameraInfo(
            f"{side} camera_info.distortion_model is '{calibration.distortion_model}'; "
            f'expected one of {", ".join(filter(None, _MODELS))}. Recalibrate with one of these'
        )
    x0, y0, width, height = calibration.roi or (0, 0, calibration.width, calibration.height)
    bin_x, bin_y = calibration.binning
    to_image = np.array([[1 / bin_x, 0, -x0 / bin_x], [0, 1 / bin_y, -y0 / bin_y], [0, 0, 1]])
    size = (width // bin_x, height // bin_y)
    d = np.array(calibration.d or (0.0,) * 5)
    r = np.reshape(calibration.r, (3, 3)) if any(calibration.r) else np.eye(3)
    rectified = to_image @ p
    if row_shift is not None:
        rectified = np.linalg.inv(source_of_aligned(row_shift, rectified[0, 2], rectified[1, 2])) @ rectified
    if calibration.distortion_model == 'equidistant':
        maps = cv2.fisheye.initUndistortRectifyMap(to_image @ k, d[:4], r, rectified, size, cv2.CV_16SC2)
    else:
        maps = cv2.initUndistortRectifyMap(to_image @ k, d, r, rectified, size, cv2.CV_16SC2)
    return maps[0], maps[1]
