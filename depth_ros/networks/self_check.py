"""A stored picture through a file, compared with what full precision gave: damaged and too coarse arithmetic shows.

Limits after the fault list: half a percent between engines in full precision, two percent for half precision.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_ros.errors import ModelLoadError
from depth_ros.files.image_files import read_image_file
from depth_ros.files.installed_files import shared_file
from depth_ros.networks.input_placement import InputPlacement, Size, plan
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.preprocess import prepare
from depth_ros.networks.runtimes.runtime import Precision
from depth_ros.types import AnyArray, Camera

PROBE: Size = (640, 480)
LARGEST_DIFFERENCE: dict[Precision, float] = {'fp32': 0.005, 'fp16': 0.02}
_SHIFT_PX = 8


def stored_image(
    manifest: Manifest, fixed: Size | None, size: Size = PROBE
) -> tuple[InputPlacement, dict[str, AnyArray]]:
    """Return the stored picture, at a size, as the input of a network; its right neighbour is itself, shifted.

    Args:
        manifest: What the network takes.
        fixed: Size that the graph insists on.
        size: Of the picture.
    """
    image = cv2.resize(read_image_file(shared_file('config/self_check.png')), size, interpolation=cv2.INTER_LINEAR)
    canvas = plan(manifest.preprocess, size, fixed)
    camera = Camera(*size, size[0], size[0], size[0] / 2, size[1] / 2)
    return canvas, prepare(manifest, canvas, image, np.roll(image, -_SHIFT_PX, axis=1), camera)


def relative_difference(expected: AnyArray, found: AnyArray) -> float:
    """Return the median of ``|found - expected| / |expected|``; infinite where shapes differ or NaN appears."""
    if expected.shape != found.shape or np.isnan(found).any() > np.isnan(expected).any():
        return float('inf')
    magnitude = np.abs(expected.astype(np.float64))
    floor = max(1e-3 * float(np.nanmedian(magnitude)), 1e-12)
    return float(np.nanmedian(np.abs(found - expected) / np.maximum(magnitude, floor)))


def reference_path(onnx: Path) -> Path:
    """Return where the reference of an ONNX file lies."""
    return onnx.with_suffix('.reference.npz')


def read_reference(path: Path) -> AnyArray:
    """Return what full precision gave.

    Raises:
        ModelLoadError: it is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            expected: Any = content['expected']
            return np.asarray(expected)
    except Exception as error:  # zipfile and numpy raise many types for damaged content
        raise ModelLoadError(
            f'{path} cannot be read as a reference: {error}. Export the model again, or take `reference` out of its '
            'manifest'
        ) from error
