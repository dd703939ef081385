"""Is the depth the same everywhere, frame after frame? A covered lens and a broken export look like this."""

import numpy as np

from depth_ros.types import Float32Array

_TELLING_FRAMES = 30
_SAMPLES = 16


class ConstantDepthDetector:
    """Counts frames in a row whose depth does not vary over the picture."""

    def __init__(self) -> None:
        self._frames = 0

    def suspicious(self, values: Float32Array) -> bool:
        """Look at one frame; tell whether there have been thirty flat ones."""
        rows, columns = (max(side // _SAMPLES, 1) for side in values.shape)
        some = values[::rows, ::columns]
        known = some[np.isfinite(some)]
        flat = known.size > 1 and float(known.min()) == float(known.max())
        self._frames = self._frames + 1 if flat else 0
        return self._frames >= _TELLING_FRAMES
