"""Relative depth → nearness from 0 to 1, in the same direction for every model and without flicker."""

from dataclasses import dataclass, replace

import numpy as np

from depth_ros.types import Float32Array, RelativeMap

_PERCENTILES = (2, 98)
_TIME_CONSTANT_S, _MAX_GAIN = 1.0, 0.25
_MIN_OVERLAP = 0.5
"""Limits that overlap less with those of the previous frame belong to another scene and are not smoothed."""
_MIN_SPREAD = 1e-5
"""Smallest difference of the limits, relative to their magnitude; below it the map is regarded as constant."""
_MAX_SAMPLES_PER_SIDE = 200


@dataclass(frozen=True)
class _Limits:
    """Inverse depths that become 0 and 1."""

    far: float
    near: float

    @property
    def are_equal(self) -> bool:
        return self.near - self.far <= _MIN_SPREAD * max(abs(self.near), abs(self.far))

    def overlap(self, other: '_Limits') -> float:
        """Return the common part of both intervals as a share of their union, at most 1."""
        union = max(self.near, other.near) - min(self.far, other.far)
        return (min(self.near, other.near) - max(self.far, other.far)) / union if union > 0 else 1.0

    def towards(self, other: '_Limits', gain: float) -> '_Limits':
        return _Limits(self.far + gain * (other.far - self.far), self.near + gain * (other.near - self.near))


class RelativeScaler:
    """Scales the relative maps of one camera; keeps the limits between frames.

    The limits of ``robust`` follow those of the frame with a time constant of one second, or by a quarter per frame if
    frames are rare or have no stamps. They are taken from the frame alone if it is the first one, its size, kind or
    source differs, its stamp is older than the previous one, or its limits overlap those of the previous frames by less
    than half: after a cut.
    """

    def __init__(self) -> None:
        self._kind: tuple[object, ...] = ()
        self._stamp_ns = 0
        self._limits: _Limits | None = None

    def apply(self, relative: RelativeMap, scaling: str) -> RelativeMap:
        """Return the map with its nearness.

        Args:
            relative: The values of the network, (H, W).
            scaling: Setting ``relative_scaling``. robust: from the 2nd to the 98th percentile of the inverse depth,
                smoothed over time. minmax: from the minimum to the maximum of this frame. none: as robust, but
                ``values`` remain those of the network.

        Returns:
            The map with ``nearness``, (H, W) in [0, 1], larger = nearer; NaN = unknown, 0 = sky, 0.5 everywhere if
            the map is constant. Unless ``scaling`` is none, ``values`` is the nearness, too.
        """
        inverse = _inverse_depth(relative)
        limits = _extremes(inverse) if scaling == 'minmax' else self._smoothed(relative, _robust_limits(inverse))
        nearness = _scaled(inverse, limits)
        if scaling == 'none':
            return replace(relative, nearness=nearness)
        return replace(relative, values=nearness, space='nearness', nearness=nearness)

    def _smoothed(self, relative: RelativeMap, limits: _Limits | None) -> _Limits | None:
        """Return the limits for this frame, which are kept for the next one."""
        kind = (relative.values.shape, relative.space, relative.shift_known, relative.source)
        elapsed_s = (relative.stamp_ns - self._stamp_ns) / 1e9
        kept = self._limits if kind == self._kind and elapsed_s >= 0 else None
        if kept is None or limits is None or kept.are_equal or kept.overlap(limits) < _MIN_OVERLAP:
            self._limits = limits or kept
        else:
            self._limits = kept.towards(limits, min(elapsed_s / _TIME_CONSTANT_S or _MAX_GAIN, _MAX_GAIN))
        self._kind, self._stamp_ns = kind, relative.stamp_ns
        return self._limits


def single_nearness(relative: RelativeMap) -> Float32Array:
    """Return the nearness of one map as ``RelativeScaler`` gives it for a first frame with ``robust``."""
    inverse = _inverse_depth(relative)
    return _scaled(inverse, _robust_limits(inverse))


def _inverse_depth(relative: RelativeMap) -> Float32Array:
    """Return inverse depth up to scale and shift: larger = nearer, NaN = unknown, -Inf = sky, +Inf = nearest.

    Without a known shift, depth cannot be inverted (1 / z requires its zero); then it is negated.
    """
    values = relative.values
    if relative.space == 'relative_inverse_depth':
        return np.where(np.isposinf(values), np.float32(-np.inf), values)
    if not relative.shift_known:
        return -values
    inverse = np.full_like(values, np.nan)
    np.divide(np.float32(1.0), values, out=inverse, where=values > 0)
    inverse[values <= 0] = np.inf
    inverse[np.isposinf(values)] = -np.inf
    return inverse


def _robust_limits(inverse: Float32Array) -> _Limits | None:
    """Return percentiles of the finite pixels of a fixed grid; None if none is finite."""
    rows, columns = (max(1, side // _MAX_SAMPLES_PER_SIDE) for side in inverse.shape)
    sample = inverse[::rows, ::columns]
    known = sample[np.isfinite(sample)]
    if not known.size:
        return None
    far, near = np.percentile(known, _PERCENTILES)
    return _Limits(float(far), float(near))


def _extremes(inverse: Float32Array) -> _Limits | None:
    known = inverse[np.isfinite(inverse)]
    return _Limits(float(known.min()), float(known.max())) if known.size else None


def _scaled(inverse: Float32Array, limits: _Limits | None) -> Float32Array:
    if limits is None or limits.are_equal:
        nearness = np.where(np.isfinite(inverse), np.float32(0.5), np.clip(inverse, np.float32(0), np.float32(1)))
        return np.asarray(nearness, np.float32)
    gain = 1.0 / (limits.near - limits.far)
    scaled: Float32Array = np.clip((inverse - np.float32(limits.far)) * np.float32(gain), 0, 1)
    return scaled
