"""Fits of single frames → a scale that can be relied on: smoothed, gated against outliers, and honest about its age."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from depth_ros.scale.fit import Fit, Law, Scale
from depth_ros.types import Float32Array

State = Literal['unknown', 'tracking', 'held']
_NS = 1e9
_GAIN = 0.3
"""Of the newest fit in the running mean."""
_GATE = 0.15
"""Fits whose depths differ by more are of something else: an outlier, or a step."""
_AGREEING_TO_START, _AGREEING_TO_STEP = 2, 3
_FRESH_S = 0.5
"""A scale that was confirmed within this time is tracked; older, it is held."""


@dataclass(frozen=True)
class ScaleStatus:
    """What is known about the scale at one frame."""

    state: State
    scale: Scale | None
    """None while unknown."""
    residual: float | None = None
    """Of the newest fit: median relative error of its inliers."""
    inlier_share: float | None = None
    age_s: float | None = None
    """Since a fit last confirmed the scale."""
    why: str = ''
    """Why there is no newer confirmation, in words; empty when there is one."""


UNKNOWN = ScaleStatus('unknown', None, why='no frame has been estimated yet')


class ScaleTracker:
    """Follows the scale of one camera. Used by one thread.

    Two fits that agree start it. A fit near the running mean moves it a little; three fits in a row that agree with
    each other and not with it are a step, and replace it. Without fits the scale is held for ``hold_s``, then
    forgotten.

    Args:
        law: Of all fits.
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self._current: Scale | None = None
        self._confirmed_ns = 0
        self._pending: list[Scale] = []
        self._newest_ns: int | None = None

    def update(self, fit: Fit | None, why: str, probes: Float32Array, stamp_ns: int, hold_s: float) -> ScaleStatus:
        """Take one frame's fit into account.

        Args:
            fit: None if there is none for this frame.
            why: In words, if there is none.
            probes: Some predictions of this frame, at which scales are compared.
            stamp_ns: Of the frame; a jump back forgets everything.
            hold_s: How long a scale is good without confirmation.
        """
        if self._newest_ns is not None and stamp_ns < self._newest_ns:
            self._current, self._pending = None, []
        self._newest_ns = stamp_ns
        if fit is not None:
            why = self._take(fit.scale, probes, stamp_ns)
        age_s = (stamp_ns - self._confirmed_ns) / _NS
        if self._current is not None and age_s > hold_s:
            self._current = None
            why = why or f'the scale was last confirmed {age_s:.1f} s ago'
        if self._current is None:
            return ScaleStatus('unknown', None, *_figures(fit), None, why or 'waiting for a second fit that agrees')
        state: State = 'tracking' if age_s <= _FRESH_S else 'held'
        return ScaleStatus(state, self._current, *_figures(fit), age_s, why)

    def _take(self, scale: Scale, probes: Float32Array, stamp_ns: int) -> str:
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
        return 'the newest fit differs from the scale so far; it is taken if the next ones agree with it'


def _figures(fit: Fit | None) -> tuple[float | None, float | None]:
    return (None, None) if fit is None else (fit.residual, fit.inlier_share)


def _agree(a: Scale, b: Scale, probes: Float32Array) -> bool:
    """Tell whether two scales give similar depths where the picture has its values."""
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
