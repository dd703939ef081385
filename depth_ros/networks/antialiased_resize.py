"""Resizing with antialiasing, as Pillow's ``resize`` and torch's ``interpolate(antialias=True)`` do it.

The filter is widened by the factor by which the image shrinks, so that every pixel of the image contributes. OpenCV's
linear, cubic and Lanczos interpolation do not do this.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np

from depth_ros.types import AnyArray, Float32Array, Float64Array

Filter = Literal['linear', 'lanczos']


def _triangle(x: Float64Array) -> Float64Array:
    return np.asarray(np.maximum(1 - np.abs(x), 0.0))


def _lanczos(x: Float64Array) -> Float64Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_FILTERS: dict[Filter, tuple[float, Callable[[Float64Array], Float64Array]]] = {
    'linear': (1.0, _triangle),
    'lanczos': (3.0, _lanczos),
}
"""Radius of the filter in pixels of the smaller image, and the filter."""


def resize_antialiased(image: AnyArray, size: tuple[int, int], name: Filter) -> Float32Array:
    """Resize an image (H, W) or (H, W, C) to (width, height), first along y, then along x.

    Values of 8-bit images are kept within 0 … 255 but not rounded.
    """
    rows = _resized_rows(image.astype(np.float32).reshape(image.shape[0], -1), size[1], name)
    columns = rows.reshape(size[1], image.shape[1], -1).swapaxes(0, 1).reshape(image.shape[1], -1)
    resized = _resized_rows(columns, size[0], name).reshape(size[0], size[1], *image.shape[2:]).swapaxes(0, 1)
    if image.dtype == np.uint8:
        resized = np.clip(resized, 0.0, 255.0)
    return np.ascontiguousarray(resized)


def _resized_rows(field: Float32Array, count: int, name: Filter) -> Float32Array:
    """Return ``count`` rows, each a weighted sum of neighbouring rows of the field (N, M)."""
    resized = np.empty((count, field.shape[1]), np.float32)
    for i, (first, weights) in enumerate(_weights(field.shape[0], count, name)):
        np.dot(weights, field[first : first + len(weights)], out=resized[i])
    return resized


@lru_cache(maxsize=8)
def _weights(length: int, count: int, name: Filter) -> tuple[tuple[int, Float32Array], ...]:
    """Return the first input row and the weights for every output row (Pillow, ``precompute_coeffs``)."""
    radius, function = _FILTERS[name]
    step = length / count
    width = max(step, 1.0)
    rows = []
    for i in range(count):
        centre = (i + 0.5) * step
        first, end = max(int(centre - radius * width + 0.5), 0), min(int(centre + radius * width + 0.5), length)
        weights = function((np.arange(first, end, dtype=np.float64) + 0.5 - centre) / width)
        rows.append((first, (weights / weights.sum()).astype(np.float32)))
    return tuple(rows)
