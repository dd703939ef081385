"""One picture, or pair, whose depth is known."""

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
    """Everything that a dataset knows of one instant; the truth as depth, or as disparity of the left image."""

    name: str
    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB; the left one of a pair."""
    calibration: Calibration | None = None
    right: UInt8Array | None = None
    right_calibration: Calibration | None = None
    truth_m: Float32Array | None = None
    """(H, W) metres; NaN = unknown."""
    truth_px: Float32Array | None = None
    """(H, W) raw disparity x_left - x_right; NaN = unknown."""

    def depth_m(self) -> Float32Array:
        """Return the true depth, from the disparity where that is what there is.

        Raises:
            BadFile: there is no truth, no calibration that makes metres of a disparity, or another size.
        """
        truth = self.truth_m
        if truth is None:
            if self.truth_px is None or self.calibration is None or self.right_calibration is None:
                raise BadFile(f'{self.name} has no true depth, and no disparity with a calibration')
            height, width = self.truth_px.shape
            rig = stereo_rig(self.calibration, self.right_calibration, width, height)
            shifted = self.truth_px - np.float32(rig.offset_px)
            far = shifted > 0
            truth = np.full_like(shifted, np.nan)
            np.divide(rig.left.fx * rig.baseline_m, shifted, out=truth, where=far)
        if truth.shape != self.image.shape[:2]:
            raise BadFile(
                f'{self.name}: the image is {self.image.shape[1]}x{self.image.shape[0]} and the truth '
                f'{truth.shape[1]}x{truth.shape[0]}; expected the same size'
            )
        return truth


Entry = tuple[str, Callable[[], Sample]]
"""Name, and how to load it."""


@dataclass(frozen=True)
class Dataset:
    """What there is to evaluate."""

    layout: str
    entries: Iterable[Entry]
    count: int
    remarks: tuple[str, ...] = ()
    """What was left out, in words."""
    crop: str = ''
    """The one that its benchmark uses; empty if none."""


def read_array(path: Path) -> AnyArray:
    """Read 16-bit PNG, PFM, TIFF or NPY as it is.

    Raises:
        BadFile: missing, or none of these.
    """
    try:
        found: AnyArray | None
        if path.suffix.lower() == '.pfm':
            found = read_pfm(path)
        elif path.suffix.lower() == '.npy':
            found = np.load(path)
        else:
            found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise BadFile(f'{path} cannot be read: {error}') from error
    if found is None or found.ndim != 2:
        raise BadFile(f'{path} cannot be read as depth: expected one channel as 16-bit PNG, PFM, TIFF or NPY')
    return np.asarray(found)


def scaled(raw: AnyArray, units_a_metre: float) -> Float32Array:
    """Return raw values as floats, in metres or pixels; 0, negative and Inf = unknown (NaN)."""
    values: Float32Array = raw.astype(np.float32) / np.float32(units_a_metre)
    values[~(np.isfinite(values) & (values > 0))] = np.nan
    return values
