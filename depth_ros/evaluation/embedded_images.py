"""Images in HTML pages."""

import base64

import cv2
import numpy as np

from depth_ros.types import AnyArray, UInt8Array

_WIDTH_PX = 320
"""Width of an image in a page."""
_QUALITY = 85


def embedded_image(image: UInt8Array | AnyArray) -> str:
    """Return an image, (H, W) grey or (H, W, 3) RGB, as an HTML element that contains it as JPEG, 320 pixels wide."""
    height, width = image.shape[:2]
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    size = (_WIDTH_PX, max(1, round(height * _WIDTH_PX / width)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode('.jpg', cv2.cvtColor(small, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1]
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(np.asarray(data).tobytes()).decode()}">'


def color_levels(values: AnyArray, low: float, high: float, colormap: int) -> UInt8Array:
    """Return (H, W) values as (H, W, 3) RGB colours of an OpenCV colour map, linear from ``low`` to ``high``.

    Values outside of this range have the colour of its nearest end; NaN and Inf are black.
    """
    known = np.isfinite(values)
    levels = np.zeros(values.shape, np.uint8)
    levels[known] = np.clip(255 * (values[known] - low) / max(high - low, 1e-6), 0, 255)
    image = np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, colormap), cv2.COLOR_BGR2RGB))
    image[~known] = 0
    return image
