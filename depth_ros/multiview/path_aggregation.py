"""Semi-global aggregation of a cost volume along straight paths, with 8-bit numpy operations on whole rows.

After H. Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008. OpenCV's matcher
cannot be given a cost volume.
"""

import numpy as np
import numpy.typing as npt

from depth_ros.multiview.matching_cost import LARGEST_COST
from depth_ros.types import Float32Array, UInt8Array

_SMALL_STEP, _LARGE_STEP = np.uint8(6), np.uint8(24)
"""Penalties of a change by one plane, and of a larger change."""
assert 3 * (LARGEST_COST + int(_LARGE_STEP)) < 256, 'the sum of three paths is computed in 8 bits'

_UInt16Array = npt.NDArray[np.uint16]


def aggregate(volume: UInt8Array) -> _UInt16Array:
    """Return the (H, D, W) sums of the costs along the best paths to every pixel, from eight directions.

    Args:
        volume: (H, D, W) costs of D planes; the planes are in the middle so that the operations on a row are
            contiguous.
    """
    total = np.zeros(volume.shape, np.uint16)
    _add_paths(volume, total, diagonal=True)
    across = np.ascontiguousarray(volume.transpose(2, 1, 0))
    from_sides = np.zeros(across.shape, np.uint16)
    _add_paths(across, from_sides, diagonal=False)
    total += from_sides.transpose(2, 1, 0)
    return total


def best_planes(total: _UInt16Array) -> Float32Array:
    """Return the (H, W) index of the plane with the lowest sum, with a fraction from the parabola through its sums."""
    planes = total.shape[1]
    best = np.argmin(total, axis=1)
    inner = np.clip(best, 1, planes - 2)[:, None]
    before, at, after = (
        np.take_along_axis(total, inner + step, axis=1)[:, 0].astype(np.float32) for step in (-1, 0, 1)
    )
    curvature = before + after - 2 * at
    fraction = np.clip((before - after) / np.maximum(2 * curvature, 1), -0.5, 0.5)
    return np.asarray(np.where((curvature > 0) & (best == inner[:, 0]), best + fraction, best), np.float32)


def uniqueness(total: _UInt16Array) -> Float32Array:
    """Return (H, W) how much larger the lowest sum is at planes that are not next to the best one, relative to it."""
    planes = total.shape[1]
    best = np.argmin(total, axis=1)[:, None]
    lowest = np.take_along_axis(total, best, axis=1)[:, 0].astype(np.float32)
    others = total.copy()
    for step in (-2, -1, 0, 1, 2):
        np.put_along_axis(others, np.clip(best + step, 0, planes - 1), np.iinfo(np.uint16).max, axis=1)
    return np.asarray((others.min(axis=1) - lowest) / (lowest + 8), np.float32)


def _add_paths(volume: UInt8Array, total: _UInt16Array, diagonal: bool) -> None:
    """Add the sums of the paths from the first row to the last, and back, to the total."""
    shape = (3 if diagonal else 1, *volume.shape[1:])
    limit = np.full(shape, _LARGE_STEP)  # an array: the minimum of an array and a number is much slower
    for backwards in (False, True):
        path, best, stepped = (np.zeros(shape, np.uint8) for _ in range(3))
        rows = range(len(volume))
        for row in reversed(rows) if backwards else rows:
            if diagonal:
                path[1, :, 1:] = path[1, :, :-1].copy()
                path[2, :, :-1] = path[2, :, 1:].copy()
            path -= path.min(axis=1, keepdims=True)
            np.minimum(path, limit, out=best)
            np.add(path, _SMALL_STEP, out=stepped)
            np.minimum(best[:, 1:], stepped[:, :-1], out=best[:, 1:])
            np.minimum(best[:, :-1], stepped[:, 1:], out=best[:, :-1])
            np.add(best, volume[row], out=path)
            total[row] += path[0] + path[1] + path[2] if diagonal else path[0]
