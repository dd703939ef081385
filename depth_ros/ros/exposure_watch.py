"""Observation of the exposures of the two cameras while a node runs."""

import math
from collections import deque

from depth_ros.stereo.exposure_difference import (
    EXPOSURE_CONSEQUENCE,
    EXPOSURE_REMEDY,
    ExposureDifference,
    exposure_difference,
)
from depth_ros.types import StereoFrame

_PERIOD_S = 1.0
_PERSISTENT = 3
"""Number of measurements, of which the median is used; a flash of light is no difference of exposures."""


class ExposureWatch:
    """Measures the exposures of a pair once per second; used by one thread and read by others."""

    def __init__(self) -> None:
        self._due_s = -math.inf
        self._recent: deque[ExposureDifference] = deque(maxlen=_PERSISTENT)
        self._difference: ExposureDifference | None = None

    def update(self, frame: StereoFrame, now_s: float) -> str:
        """Measure a frame if a second has passed; return the warning after a measurement, '' otherwise.

        Args:
            frame: The pair.
            now_s: Monotonic time, seconds.
        """
        if now_s < self._due_s:
            return ''
        self._due_s = now_s + _PERIOD_S
        measured = exposure_difference(frame.left, frame.right)
        if measured is None:
            return ''
        self._recent.append(measured)
        if len(self._recent) == _PERSISTENT:
            self._difference = sorted(self._recent, key=lambda each: each.brightness_ratio)[_PERSISTENT // 2]
        return self.warning

    @property
    def warning(self) -> str:
        """The warning that applies now; empty if there is none."""
        difference = self._difference
        if difference is None or not difference.costs_matches:
            return ''
        return f'{difference}: {EXPOSURE_CONSEQUENCE}. {EXPOSURE_REMEDY}'

    @property
    def values(self) -> dict[str, str]:
        """The latest median for the diagnostics, by key; empty before the third measurement."""
        difference = self._difference
        if difference is None:
            return {}
        ratios = {'brightness': difference.brightness_ratio, 'contrast': difference.contrast_ratio}
        return {f'exposure.{name}_ratio': f'{ratio:.3f}' for name, ratio in ratios.items() if not math.isnan(ratio)}
