"""Matching cost of every pixel at every plane: differences of locally normalised images, the best two sources."""

from collections.abc import Sequence

import cv2
import numpy as np

from depth_ros.multiview.plane_warp import Projection
from depth_ros.types import Float32Array, UInt8Array

LARGEST_COST = 60
"""Costs are cut off here; also the cost of a plane that no source shows."""
MARGIN_ROWS = 2
"""Rows by which projections for the cost exceed the image, so that windows do not reach into another plane."""
_WINDOW = 5
_GREY_PER_DEVIATION = 42.0
_NOISE_GREY = 6.0
_PLANES_AT_ONCE = 8
_INVALID = 255


def normalised(grey: Float32Array, window: int) -> Float32Array:
    """Return (H, W) deviations from the mean of a window, in standard deviations; independent of the exposure."""
    mean = cv2.boxFilter(grey, -1, (window, window))
    variance = cv2.sqrBoxFilter(grey, -1, (window, window)) - mean * mean
    return np.asarray((grey - mean) / np.sqrt(np.maximum(variance, 0) + np.float32(_NOISE_GREY**2)), np.float32)


def as_bytes(deviations: Float32Array) -> UInt8Array:
    """Return a normalised image in 8 bits, 1 to 255; 0 is left for pixels outside of an image."""
    return np.asarray(np.clip(deviations * np.float32(_GREY_PER_DEVIATION) + 128, 1, 255), np.uint8)


def cost_volume(
    reference: UInt8Array, sources: Sequence[tuple[UInt8Array, Projection]], inverse_depths: Float32Array
) -> UInt8Array:
    """Return the (H, D, W) costs, 0 to ``LARGEST_COST``: the mean of the two sources that match best.

    One source that does not see a point because another surface is in front of it does not change its cost.

    Args:
        reference: (H, W) of ``as_bytes``.
        sources: Images of ``as_bytes`` and projections with ``MARGIN_ROWS``.
        inverse_depths: (D,) planes, 1/m.
    """
    height, width = reference.shape
    rows = height + 2 * MARGIN_ROWS
    volume = np.empty((height, len(inverse_depths), width), np.uint8)
    padded = cv2.copyMakeBorder(reference, MARGIN_ROWS, MARGIN_ROWS, 0, 0, cv2.BORDER_REPLICATE)
    repeated = np.tile(padded, (_PLANES_AT_ONCE, 1))
    for first in range(0, len(inverse_depths), _PLANES_AT_ONCE):
        planes = inverse_depths[first : first + _PLANES_AT_ONCE]
        cost = _best_two([_costs(repeated[: len(planes) * rows], *source, planes) for source in sources])
        cost = cost.reshape(len(planes), rows, width)[:, MARGIN_ROWS : MARGIN_ROWS + height]
        volume[:, first : first + len(planes)] = cost.transpose(1, 0, 2)
    return volume


def _costs(reference: UInt8Array, source: UInt8Array, projection: Projection, planes: Float32Array) -> UInt8Array:
    """Return the costs of one source, one plane below the other; ``_INVALID`` where it shows nothing."""
    at = projection.at(planes[:, None, None])
    width = reference.shape[1]
    x, y = at.x.reshape(-1, width), at.y.reshape(-1, width)
    warped = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    cost = cv2.blur(cv2.absdiff(warped, reference), (_WINDOW, _WINDOW))
    return np.asarray(cv2.max(cost, cv2.compare(warped, 0, cv2.CMP_EQ)), np.uint8)


def _best_two(costs: Sequence[UInt8Array]) -> UInt8Array:
    best, second = costs[0], np.full_like(costs[0], _INVALID)
    for cost in costs[1:]:
        second = cv2.min(second, cv2.max(best, cost))
        best = cv2.min(best, cost)
    np.copyto(second, best, where=second == _INVALID)
    return np.asarray(cv2.min(cv2.addWeighted(best, 0.5, second, 0.5, 0), LARGEST_COST), np.uint8)
