"""The Middlebury 2014 Motorcycle pair with ground truth, as included in scikit-image.

D. Scharstein et al., "High-resolution stereo datasets with subpixel-accurate ground truth", GCPR 2014; downsampled by
a factor of four in scikit-image. Calibration: docstring of ``skimage.data.stereo_motorcycle``.
"""

from dataclasses import dataclass

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.evaluation.stereo_metrics import StereoAccuracy, stereo_accuracy
from depth_ros.files.calibration_files import stereo_calibration
from depth_ros.files.install_command import install_command
from depth_ros.types import Calibration, Float32Array, UInt8Array

FOCAL_PX = 994.978
BASELINE_M = 0.193001
_CX, _CY, _CX_STEP = 311.193, 254.877, 31.086


@dataclass(frozen=True)
class Motorcycle:
    """A real stereo pair with calibration and ground truth."""

    left: UInt8Array
    """(500, 741, 3) RGB."""
    right: UInt8Array
    """(500, 741, 3) RGB."""
    left_calibration: Calibration
    right_calibration: Calibration
    disparity_px: Float32Array
    """(500, 741) raw disparity of the left image; NaN where there is no ground truth."""

    @property
    def depth_m(self) -> Float32Array:
        """(500, 741) true depth of the left image, metres; NaN where there is no ground truth."""
        return np.asarray(FOCAL_PX * BASELINE_M / (self.disparity_px + np.float32(_CX_STEP)), np.float32)

    def accuracy(self, depth_m: Float32Array) -> StereoAccuracy:
        """Compare a depth map of the left image, (500, 741) metres, with the ground truth."""
        return stereo_accuracy(depth_m, self.disparity_px, FOCAL_PX, BASELINE_M, -_CX_STEP)


def load_motorcycle() -> Motorcycle:
    """Load the pair.

    Raises:
        BadFile: scikit-image is not installed.
    """
    try:
        from skimage.data import stereo_motorcycle  # slow to import, and only used by the demo and the tests
    except ImportError as error:
        raise BadFile(f'the Motorcycle pair requires scikit-image ({error}): {install_command("demo")}') from error
    left, right, disparity = stereo_motorcycle()
    height, width = left.shape[:2]
    calibrations = stereo_calibration(
        width,
        height,
        (FOCAL_PX, 0.0, _CX, 0.0, FOCAL_PX, _CY, 0.0, 0.0, 1.0),
        (FOCAL_PX, 0.0, _CX + _CX_STEP, 0.0, FOCAL_PX, _CY, 0.0, 0.0, 1.0),
        BASELINE_M,
    )
    truth = np.where(np.isfinite(disparity), disparity, np.nan).astype(np.float32)
    return Motorcycle(left, right, *calibrations, truth)
