"""Comparison of the stamps of two message streams."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def apart_ns(left: Sequence[int], right: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the distance of each left stamp to the nearest right stamp; neither may be empty."""
    left_ns, right_ns = np.sort(np.asarray(left, np.int64)), np.sort(np.asarray(right, np.int64))
    after = np.clip(np.searchsorted(right_ns, left_ns), 0, right_ns.size - 1)
    before = np.maximum(after - 1, 0)
    nearest: npt.NDArray[np.int64] = np.minimum(np.abs(left_ns - right_ns[before]), np.abs(left_ns - right_ns[after]))
    return nearest
