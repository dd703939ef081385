"""The self-check image, whose output is compared with a reference in full precision when a network is loaded.

The comparison detects damaged files and insufficient precision. Limits: 0.5 % between runtimes in full precision, 2 %
for half precision.
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

SELF_CHECK_SIZE: Size = (640, 480)
MAX_DIFFERENCE: dict[Precision, float] = {'fp32': 0.005, 'fp16': 0.02}
_SHIFT_PX = 8


def self_check_input(
    manifest: Manifest, fixed: Size | None, size: Size = SELF_CHECK_SIZE
) -> tuple[InputPlacement, dict[str, AnyArray]]:
    """Return the self-check image as the input of a network; the right image is the same image, shifted.

    The prompt depth of networks that take one rises from 1 m at the upper edge to 3 m at the lower edge.

    Args:
        manifest: Description of the network.
        fixed: Input size of the graph, if it is fixed.
        size: Width and height of the image.
    """
    image = cv2.resize(read_image_file(shared_file('config/self_check.png')), size, interpolation=cv2.INTER_LINEAR)
    placement = plan(manifest.preprocess, size, fixed)
    camera = Camera(*size, size[0], size[0], size[0] / 2, size[1] / 2)
    prompt_m = np.repeat(np.linspace(1, 3, 48, dtype=np.float32)[:, None], 64, axis=1)
    return placement, prepare(manifest, placement, image, np.roll(image, -_SHIFT_PX, axis=1), camera, prompt_m)


def relative_difference(expected: AnyArray, actual: AnyArray) -> float:
    """Return the median of ``|actual - expected| / |expected|``; infinite if shapes differ or NaN appears."""
    if expected.shape != actual.shape or np.isnan(actual).any() > np.isnan(expected).any():
        return float('inf')
    magnitude = np.abs(expected.astype(np.float64))
    floor = max(1e-3 * float(np.nanmedian(magnitude)), 1e-12)
    return float(np.nanmedian(np.abs(actual - expected) / np.maximum(magnitude, floor)))


def reference_path(onnx: Path) -> Path:
    """Return the path of the reference of an ONNX file."""
    return onnx.with_suffix('.reference.npz')


def read_reference(path: Path) -> AnyArray:
    """Return the output that was computed in full precision.

    Raises:
        ModelLoadError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            expected: Any = content['expected']
            return np.asarray(expected)
    except Exception as error:  # zipfile and numpy raise many types for damaged content
        raise ModelLoadError(
            f'{path} cannot be read as a reference: {error}. Export the model again, or remove `reference` from its '
            'manifest'
        ) from error
