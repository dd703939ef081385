"""Detection of constant depth images, which are caused by a covered lens or an invalid model export."""

import numpy as np

from depth_ros.types import Float32Array

_MIN_FRAMES = 30
_SAMPLES_PER_SIDE = 16


class ConstantDepthDetector:
    """Counts consecutive frames in which all sampled pixels have the same depth."""

    def __init__(self) -> None:
        self._frames = 0

    def update(self, values: Float32Array) -> bool:
        """Add one frame; return whether at least the last 30 frames were constant."""
        rows, columns = (max(side // _SAMPLES_PER_SIDE, 1) for side in values.shape)
        samples = values[::rows, ::columns]
        valid = samples[np.isfinite(samples)]
        constant = valid.size > 1 and float(valid.min()) == float(valid.max())
        self._frames = self._frames + 1 if constant else 0
        return self._frames >= _MIN_FRAMES
