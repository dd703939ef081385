"""Stamps of two streams of messages, compared."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def apart_ns(left: Sequence[int], right: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return how far each stamp of one stream is from the nearest of the other; neither may be empty."""
    ours, theirs = np.sort(np.asarray(left, np.int64)), np.sort(np.asarray(right, np.int64))
    after = np.clip(np.searchsorted(theirs, ours), 0, theirs.size - 1)
    before = np.maximum(after - 1, 0)
    nearest: npt.NDArray[np.int64] = np.minimum(np.abs(ours - theirs[before]), np.abs(ours - theirs[after]))
    return nearest
