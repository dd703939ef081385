"""Tracking of the scale over frames: smoothing, rejection of outliers, and age."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from depth_ros.scale.scale_fit import Law, Scale, ScaleFit
from depth_ros.types import Float32Array

State = Literal['unknown', 'tracking', 'held']
_NS = 1e9
_GAIN = 0.3
"""Weight of the newest fit in the running mean."""
_GATE = 0.15
"""Fits whose depths differ by more than this (log ratio) are an outlier or a step."""
_AGREEING_TO_START, _AGREEING_TO_STEP = 2, 3
_FRESH_S = 0.5
"""A scale confirmed within this time is "tracking"; an older one is "held"."""


@dataclass(frozen=True)
class ScaleStatus:
    """State of the scale at one frame."""

    state: State
    scale: Scale | None
    """None while unknown."""
    residual: float | None = None
    """Median relative error of the inliers of the newest fit."""
    inlier_share: float | None = None
    age_s: float | None = None
    """Time since a fit last confirmed the scale."""
    why: str = ''
    """Why the scale was not confirmed at this frame; empty if it was."""


UNKNOWN = ScaleStatus('unknown', None, why='no frame has been estimated yet')


class ScaleTracker:
    """Tracks the scale of one camera. Not thread-safe.

    Tracking starts with two fits that agree. A fit close to the running mean updates it; three consecutive fits that
    agree with each other but not with the mean are a step and replace it. Without fits, the scale is held for
    ``hold_s`` and then discarded.

    Args:
        law: Law of all fits.
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self._current: Scale | None = None
        self._confirmed_ns = 0
        self._pending: list[Scale] = []
        self._newest_ns: int | None = None

    def update(self, fit: ScaleFit | None, why: str, probes: Float32Array, stamp_ns: int, hold_s: float) -> ScaleStatus:
        """Update the scale with the fit of one frame.

        Args:
            fit: None if there is none for this frame.
            why: Why there is no fit.
            probes: Sample of the predictions of this frame, at which scales are compared.
            stamp_ns: Stamp of the frame; a jump back in time resets the tracker.
            hold_s: How long a scale is used without confirmation.
        """
        if self._newest_ns is not None and stamp_ns < self._newest_ns:
            self._current, self._pending = None, []
        self._newest_ns = stamp_ns
        if fit is not None:
            why = self._add(fit.scale, probes, stamp_ns)
        age_s = (stamp_ns - self._confirmed_ns) / _NS
        if self._current is not None and age_s > hold_s:
            self._current = None
            why = why or f'the scale was last confirmed {age_s:.1f} s ago'
        if self._current is None:
            return ScaleStatus(
                'unknown', None, *_figures(fit), None, why or 'waiting for a second fit that agrees with the first'
            )
        state: State = 'tracking' if age_s <= _FRESH_S else 'held'
        return ScaleStatus(state, self._current, *_figures(fit), age_s, why)

    def _add(self, scale: Scale, probes: Float32Array, stamp_ns: int) -> str:
        if self._current is not None and _agree(scale, self._current, probes):
            self._current = _between(self._current, scale, _GAIN)
            self._pending = []
            self._confirmed_ns = stamp_ns
            return ''
        if self._pending and not _agree(scale, self._pending[-1], probes):
            self._pending = []
        self._pending.append(scale)
        needed = _AGREEING_TO_START if self._current is None else _AGREEING_TO_STEP
        if len(self._pending) >= needed:
            self._current = _mean(self._pending)
            self._pending = []
            self._confirmed_ns = stamp_ns
            return ''
        return 'the newest fit differs from the current scale; it is adopted if the next fits agree with it'


def _figures(fit: ScaleFit | None) -> tuple[float | None, float | None]:
    return (None, None) if fit is None else (fit.residual, fit.inlier_share)


def _agree(a: Scale, b: Scale, probes: Float32Array) -> bool:
    """Return whether two scales give similar depths for the values that occur in the image."""
    depths = [scale.depth_m(probes) for scale in (a, b)]
    with np.errstate(divide='ignore', invalid='ignore'):
        ratio = depths[0] / depths[1]
    known = ratio[np.isfinite(ratio) & (ratio > 0)]
    return known.size > 0 and float(np.median(np.abs(np.log(known)))) < _GATE


def _between(a: Scale, b: Scale, gain: float) -> Scale:
    return replace(a, scale=a.scale + gain * (b.scale - a.scale), shift=a.shift + gain * (b.shift - a.shift))


def _mean(scales: list[Scale]) -> Scale:
    mean_scale = float(np.mean([each.scale for each in scales]))
    return replace(scales[0], scale=mean_scale, shift=float(np.mean([each.shift for each in scales])))
