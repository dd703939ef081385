"""Samples of a dataset: one image or stereo pair with its true depth."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_ros.errors import BadFile
from depth_ros.files.pfm_file import read_pfm
from depth_ros.stages.intrinsics import stereo_rig
from depth_ros.types import AnyArray, Calibration, Float32Array, UInt8Array


@dataclass(frozen=True)
class Sample:
    """One image or stereo pair with its truth, either as depth or as disparity of the left image."""

    name: str
    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB; the left image of a pair."""
    calibration: Calibration | None = None
    right: UInt8Array | None = None
    """Right image of a pair, same shape."""
    right_calibration: Calibration | None = None
    truth_m: Float32Array | None = None
    """(H, W) metres; NaN = unknown."""
    truth_px: Float32Array | None = None
    """(H, W) raw disparity x_left - x_right; NaN = unknown."""
    max_disparity: int | None = None
    """Number of disparities that the dataset asks to search; None if it does not say."""

    def disparity_px(self) -> Float32Array:
        """Return the true disparity of a pair, (H, W) pixels; computed from the depth if the sample has no disparity.

        Raises:
            BadFile: the sample is not a pair, the truth is missing, or the sizes of the images and the truth differ.
        """
        if self.right is None:
            raise BadFile(f'{self.name} is a single image; expected a stereo pair')
        truth = self.truth_px
        if truth is None:
            if self.truth_m is None or self.calibration is None or self.right_calibration is None:
                raise BadFile(f'{self.name} has no true disparity, and no depth with a calibration')
            height, width = self.truth_m.shape
            rig = stereo_rig(self.calibration, self.right_calibration, width, height)
            with np.errstate(divide='ignore'):
                truth = np.asarray(rig.left.fx * rig.baseline_m / self.truth_m + rig.offset_px, np.float32)
        if not self.image.shape[:2] == self.right.shape[:2] == truth.shape:
            sizes = ', '.join(f'{shape[1]}x{shape[0]}' for shape in (self.image.shape, self.right.shape, truth.shape))
            raise BadFile(f'{self.name}: left image, right image and truth are {sizes}; expected the same size')
        return truth

    def depth_m(self) -> Float32Array:
        """Return the true depth, (H, W) metres; computed from the disparity if the sample has no depth.

        Raises:
            BadFile: the truth is missing, its size differs from the image, or a disparity has no calibration.
        """
        truth = self.truth_m
        if truth is None:
            if self.truth_px is None or self.calibration is None or self.right_calibration is None:
                raise BadFile(f'{self.name} has no true depth, and no disparity with a calibration')
            height, width = self.truth_px.shape
            rig = stereo_rig(self.calibration, self.right_calibration, width, height)
            shifted = self.truth_px - np.float32(rig.offset_px)
            positive = shifted > 0
            truth = np.full_like(shifted, np.nan)
            np.divide(rig.left.fx * rig.baseline_m, shifted, out=truth, where=positive)
        if truth.shape != self.image.shape[:2]:
            raise BadFile(
                f'{self.name}: the image is {self.image.shape[1]}x{self.image.shape[0]} and the truth '
                f'{truth.shape[1]}x{truth.shape[0]}; expected the same size'
            )
        return truth


Entry = tuple[str, Callable[[], Sample]]
"""Name of a sample, and the function that loads it."""


@dataclass(frozen=True)
class Dataset:
    """The samples to evaluate."""

    layout: str
    """Name of the layout, such as ``kitti-depth``."""
    entries: Iterable[Entry]
    count: int
    """Number of entries; for a bag the number of true depth images."""
    remarks: tuple[str, ...] = ()
    """Descriptions of files that were skipped, one line each."""
    crop: str = ''
    """Crop that the benchmark uses; empty if none."""


def read_array(path: Path) -> AnyArray:
    """Read the raw values of a 16-bit PNG, PFM, TIFF or NPY file.

    Raises:
        BadFile: the file is missing, or not a single-channel file in one of these formats.
    """
    try:
        array: AnyArray | None
        if path.suffix.lower() == '.pfm':
            array = read_pfm(path)
        elif path.suffix.lower() == '.npy':
            array = np.load(path)
        else:
            array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise BadFile(f'{path} cannot be read: {error}') from error
    if array is None or array.ndim != 2:
        raise BadFile(f'{path} cannot be read as depth: expected one channel as 16-bit PNG, PFM, TIFF or NPY')
    return np.asarray(array)


def decode_truth(raw: AnyArray, units: float) -> Float32Array:
    """Return raw values in metres or pixels; 0, negative and infinite values become NaN (unknown).

    Args:
        raw: (H, W).
        units: Raw units per metre or pixel.
    """
    values: Float32Array = raw.astype(np.float32) / np.float32(units)
    values[~(np.isfinite(values) & (values > 0))] = np.nan
    return values
