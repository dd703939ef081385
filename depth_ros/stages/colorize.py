"""Colour images of depth maps, for display only."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import Float32Array, UInt8Array

Colormap = Literal['turbo', 'viridis', 'grayscale']


def colorize(depth_m: Float32Array, colormap: Colormap = 'turbo') -> UInt8Array:
    """Colour near to far: red to blue (turbo), yellow to violet (viridis), white to black (grayscale).

    The scale is linear in 1 / z between the 1st and 99th percentile of the map, which
    emphasises near objects. Unknown pixels are black; beyond range has the farthest colour, too close the nearest.

    Returns:
        (H, W, 3) RGB.
    """
    nearness = np.zeros_like(depth_m)
    finite = np.isfinite(depth_m)
    np.divide(1.0, depth_m, out=nearness, where=finite)
    known = nearness[finite]
    far, near = np.percentile(known[:: max(1, known.size // 20000)], (1, 99)) if known.size else (0.0, 1.0)
    scaled = (nearness - far) * (255.0 / max(near - far, 1e-6))
    scaled[depth_m == -np.inf] = 255.0
    levels = np.clip(scaled, 0, 255).astype(np.uint8)
    return _color_mapped(levels, np.isnan(depth_m), colormap)


def colorize_nearness(nearness: Float32Array, colormap: Colormap = 'turbo') -> UInt8Array:
    """Colour nearness, (H, W) in [0, 1], as ``colorize`` colours near to far; NaN is black.

    Returns:
        (H, W, 3) RGB.
    """
    unknown = np.isnan(nearness)
    levels = np.clip(np.where(unknown, np.float32(0), nearness) * np.float32(255), 0, 255).astype(np.uint8)
    return _color_mapped(levels, unknown, colormap)


def _color_mapped(levels: UInt8Array, unknown: npt.NDArray[np.bool_], name: Colormap) -> UInt8Array:
    if name == 'grayscale':
        image = np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB))
    else:
        code = {'turbo': cv2.COLORMAP_TURBO, 'viridis': cv2.COLORMAP_VIRIDIS}[name]
        image = np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, code), cv2.COLOR_BGR2RGB))
    image[unknown] = 0
    return image
