"""Comparison of a confidence with the share of correct pixels."""

from dataclasses import dataclass

import numpy as np

from depth_ros.types import Float32Array

CORRECT_PX = 2.0
"""A disparity is correct if its error is at most this large."""
BINS = 10
_TOLERANCE = 0.05
_MIN_SHARE = 0.01


@dataclass(frozen=True)
class ConfidenceBin:
    """Valid pixels with truth whose confidence lies in one interval of width 0.1."""

    low: float
    """Smallest confidence of the bin; the last bin includes 1."""
    pixels: int
    share: float
    """Share of these pixels among those of all bins."""
    confidence: float
    """Mean confidence; NaN if the bin is empty."""
    correct: float
    """Share of the pixels with an error of at most 2 px; NaN if the bin is empty."""

    @property
    def reliable(self) -> bool:
        """Whether ``correct`` is within 0.05 of the mean confidence; True for a bin with at most 1 % of the pixels."""
        return self.share <= _MIN_SHARE or abs(self.correct - self.confidence) <= _TOLERANCE


class ConfidenceReliability:
    """Counts pixels and correct pixels by confidence, over several maps."""

    def __init__(self) -> None:
        self._pixels = np.zeros(BINS)
        self._confidence = np.zeros(BINS)
        self._correct = np.zeros(BINS)

    def add(self, disparity_px: Float32Array, confidence: Float32Array, truth_px: Float32Array) -> None:
        """Add a map: (H, W) disparity and true disparity in pixels, NaN = unknown; (H, W) confidence in [0, 1]."""
        both = np.isfinite(disparity_px) & np.isfinite(truth_px)
        values = confidence[both].astype(np.float64)
        correct = np.abs(disparity_px[both] - truth_px[both]) <= CORRECT_PX
        index = np.clip((values * BINS).astype(int), 0, BINS - 1)
        self._pixels += np.bincount(index, minlength=BINS)
        self._confidence += np.bincount(index, values, minlength=BINS)
        self._correct += np.bincount(index, correct, minlength=BINS)

    def bins(self) -> list[ConfidenceBin]:
        """Return all bins, in increasing order of confidence."""
        total = max(float(self._pixels.sum()), 1.0)
        with np.errstate(invalid='ignore'):
            confidence, correct = self._confidence / self._pixels, self._correct / self._pixels
        return [
            ConfidenceBin(
                i / BINS,
                int(self._pixels[i]),
                float(self._pixels[i] / total),
                float(confidence[i]),
                float(correct[i]),
            )
            for i in range(BINS)
        ]
