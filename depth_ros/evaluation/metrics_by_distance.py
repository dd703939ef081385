"""Histogram of errors and errors by distance, over all pixels of a dataset; memory use does not grow."""

from dataclasses import dataclass

import numpy as np

from depth_ros.types import Float32Array

EDGES_M = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, float('inf'))
ERROR_EDGES = np.linspace(-0.5, 0.5, 101)
"""Histogram edges of (z - z*) / z*; values beyond are counted in the outermost bins."""


@dataclass(frozen=True)
class DistanceBin:
    """Metrics of the pixels whose true depth is in [from_m, to_m)."""

    from_m: float
    to_m: float
    pixels: int
    valid_share: float
    abs_rel: float
    rmse_m: float


class MetricsByDistance:
    """Accumulates errors by true depth."""

    def __init__(self) -> None:
        bins = len(EDGES_M) - 1
        self._truths, self._known = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
        self._abs_rel, self._square = np.zeros(bins), np.zeros(bins)
        self.histogram = np.zeros(len(ERROR_EDGES) - 1, np.int64)
        """Number of pixels by relative error, between ERROR_EDGES."""

    def add(self, depth_m: Float32Array, truth_m: Float32Array) -> None:
        """Add the (H, W) estimate and truth of one image, metres; NaN = unknown."""
        has_truth = np.isfinite(truth_m) & (truth_m > 0)
        truth, z = truth_m[has_truth].astype(np.float64), depth_m[has_truth].astype(np.float64)
        known = np.isfinite(z) & (z > 0)
        index = np.digitize(truth, EDGES_M[1:-1])
        bins = len(EDGES_M) - 1
        self._truths += np.bincount(index, minlength=bins)
        truth, z, index = truth[known], z[known], index[known]
        error = z - truth
        self._known += np.bincount(index, minlength=bins)
        self._abs_rel += np.bincount(index, np.abs(error) / truth, bins)
        self._square += np.bincount(index, error**2, bins)
        relative = np.clip(error / truth, ERROR_EDGES[0], ERROR_EDGES[-1])
        self.histogram += np.histogram(relative, ERROR_EDGES)[0]

    def bins(self) -> list[DistanceBin]:
        """Return the bins that have pixels with truth."""
        bins = []
        for i, pixels in enumerate(self._truths):
            if not pixels:
                continue
            known = int(self._known[i])
            figures = (self._abs_rel[i] / known, np.sqrt(self._square[i] / known)) if known else (np.nan, np.nan)
            bins.append(DistanceBin(EDGES_M[i], EDGES_M[i + 1], int(pixels), known / int(pixels), *map(float, figures)))
        return bins
