"""Stamped poses of a moving body → its pose at the stamp of an image, with checks of the poses."""

import math
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from depth_ros.geometry import Quaternion, Translation, interpolated_pose, precise_pose_matrix
from depth_ros.types import Float64Array

_TOLERANCE_NS = 2_000_000
"""A pose is constant this long before the first and after the last one; stamps of two drivers differ by rounding."""
_JUMP_BACK_NS = 1_000_000_000
"""A larger step back of the stamps is a jump back in time. A smaller step may be a message out of order, until a second
message follows in order."""
_UNIT_TOLERANCE = 0.01
_VELOCITY_WINDOW_NS = 300_000_000
_NOISE_M, _NOISE_RAD = 0.1, 0.1
_MAX_ACCELERATION, _MAX_SPEED, _MAX_TURN_RATE = 8.0, 20.0, 10.0
"""m/s², m/s, rad/s"""


class PoseFault(str, Enum):
    """Why a pose was not used, or why the track was interrupted; the value is the key in ``/diagnostics``."""

    INVALID = 'invalid'
    """NaN, infinite, or a quaternion whose length is not 1; the pose is not used."""
    OUT_OF_ORDER = 'out_of_order'
    """The stamp is older than that of the last pose; the pose is not used."""
    TIME_JUMP = 'time_jump'
    """Time jumped back: earlier poses are discarded, and a new segment starts."""
    POSE_JUMP = 'pose_jump'
    """The body cannot have moved like this (loop closure, relocalisation): a new segment starts."""
    GAP = 'gap'
    """No pose was received for longer than ``max_gap_s``: a new segment starts."""
    FRAME_CHANGED = 'frame_changed'
    """The frames of the poses have changed: earlier poses are discarded, and a new segment starts."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class TrackedPose:
    """The pose of a body at one time."""

    pose: Float64Array
    """(4, 4) pose in the frame of the track."""
    segment: int
    """Number of interruptions of the track before it. Poses of different segments must not be compared."""


@dataclass(frozen=True)
class _Sample:
    stamp_ns: int
    position: Translation
    rotation: Quaternion
    segment: int


class PoseTrack:
    """The newest poses of a body, in segments without jumps. Used by one thread at a time.

    Args:
        max_gap_s: Largest time between two poses of one segment, which are interpolated; infinite = no limit.
        history_s: Poses that are older than this, compared with the newest one, are discarded; infinite = none.
    """

    def __init__(self, max_gap_s: float = 0.5, history_s: float = 10.0) -> None:
        self._max_gap_ns = max_gap_s * 1e9
        self._history_ns = history_s * 1e9
        self._samples: deque[_Sample] = deque()
        self._frames: tuple[str, str] | None = None
        self._late_ns: int | None = None
        """Stamp of the last pose, if it was out of order."""
        self.segment = 0
        """Number of interruptions so far."""
        self.faults: Counter[PoseFault] = Counter()
        """Number of faults so far."""

    def add(
        self, stamp_ns: int, position: Translation, rotation: Quaternion, frames: tuple[str, str] = ('', '')
    ) -> PoseFault | None:
        """Add a pose; return what is wrong with it, if anything. A quaternion is normalised if its length is almost 1.

        Args:
            stamp_ns: Time of the pose.
            position: Position of the body, metres.
            rotation: Unit quaternion (x, y, z, w).
            frames: Fixed frame and frame of the body.
        """
        fault = self._add(stamp_ns, position, rotation, frames)
        if fault is not None:
            self.faults[fault] += 1
        return fault

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose; None without one."""
        return self._samples[-1].stamp_ns if self._samples else None

    def at(self, stamp_ns: int) -> TrackedPose | None:
        """Return the pose at a time; None if it is not between two neighbouring poses of one segment."""
        around = self._around(stamp_ns)
        if around is None:
            return None
        before, after = around
        span_ns = after.stamp_ns - before.stamp_ns
        if before.segment != after.segment:
            return None
        fraction = min(max((stamp_ns - before.stamp_ns) / span_ns, 0.0), 1.0) if span_ns else 0.0
        first, second = ((each.position, each.rotation) for each in around)
        return TrackedPose(precise_pose_matrix(*interpolated_pose(first, second, fraction)), after.segment)

    def missing(self, stamp_ns: int) -> str:
        """Return why there is no pose at a time; empty if there is one."""
        if self.at(stamp_ns) is not None:
            return ''
        if not self._samples:
            return 'no valid pose was received'
        first, last = self._samples[0], self._samples[-1]
        if stamp_ns > last.stamp_ns:
            return f'the newest pose is {(stamp_ns - last.stamp_ns) / 1e9:.2f} s older than the image'
        if stamp_ns < first.stamp_ns:
            return f'the image is {(first.stamp_ns - stamp_ns) / 1e9:.2f} s older than the first pose'
        index = bisect_left(self._samples, stamp_ns, key=lambda each: each.stamp_ns)
        gap_s = (self._samples[index].stamp_ns - self._samples[index - 1].stamp_ns) / 1e9
        return f'the poses before and after the image are {gap_s:.2f} s apart, or the pose jumped between them'

    def _around(self, stamp_ns: int) -> tuple[_Sample, _Sample] | None:
        """Return the neighbours of a time; None if it is outside of the track."""
        index = bisect_left(self._samples, stamp_ns, key=lambda each: each.stamp_ns)
        if index < len(self._samples) and self._samples[index].stamp_ns == stamp_ns:
            return self._samples[index], self._samples[index]
        if 0 < index < len(self._samples):
            return self._samples[index - 1], self._samples[index]
        if not self._samples:
            return None
        nearest = self._samples[0] if index == 0 else self._samples[-1]
        return (nearest, nearest) if abs(nearest.stamp_ns - stamp_ns) <= _TOLERANCE_NS else None

    def _add(
        self, stamp_ns: int, position: Translation, rotation: Quaternion, frames: tuple[str, str]
    ) -> PoseFault | None:
        length = math.hypot(*rotation)
        if not (all(map(math.isfinite, position)) and abs(length - 1) <= _UNIT_TOLERANCE):
            return PoseFault.INVALID
        x, y, z, w = (each / length for each in rotation)
        fault = None
        if self._frames not in (None, frames):
            fault = PoseFault.FRAME_CHANGED
            self._samples.clear()
        self._frames = frames
        newest = self._samples[-1] if self._samples else None
        if newest is not None and stamp_ns <= newest.stamp_ns:
            if stamp_ns == newest.stamp_ns:
                return None
            in_order_again = self._late_ns is not None and stamp_ns > self._late_ns
            if stamp_ns > newest.stamp_ns - _JUMP_BACK_NS and not in_order_again:
                self._late_ns = stamp_ns
                return PoseFault.OUT_OF_ORDER
            fault = PoseFault.TIME_JUMP
            self._samples.clear()
        elif newest is not None and stamp_ns - newest.stamp_ns > self._max_gap_ns:
            fault = PoseFault.GAP
        elif newest is not None and self._is_jump(newest, stamp_ns, position, (x, y, z, w)):
            fault = PoseFault.POSE_JUMP
        self._late_ns = None
        self.segment += fault is not None
        self._samples.append(_Sample(stamp_ns, position, (x, y, z, w), self.segment))
        while self._samples[0].stamp_ns < stamp_ns - self._history_ns:
            self._samples.popleft()
        return fault

    def _is_jump(self, newest: _Sample, stamp_ns: int, position: Translation, rotation: Quaternion) -> bool:
        """Return whether a pose differs too much from the newest one and the velocity before it."""
        seconds = (stamp_ns - newest.stamp_ns) / 1e9
        cosine = min(abs(float(np.dot(newest.rotation, rotation))), 1.0)
        if 2 * math.acos(cosine) > _NOISE_RAD + _MAX_TURN_RATE * seconds:
            return True
        earlier = newest
        for sample in reversed(self._samples):
            if sample.segment != newest.segment or newest.stamp_ns - sample.stamp_ns > _VELOCITY_WINDOW_NS:
                break
            earlier = sample
        moved = np.subtract(position, newest.position)
        window_s = (newest.stamp_ns - earlier.stamp_ns) / 1e9
        if window_s < seconds:  # too short for a velocity
            return bool(np.linalg.norm(moved) > _NOISE_M + _MAX_SPEED * seconds)
        velocity = np.subtract(newest.position, earlier.position) / window_s
        allowed_m = _NOISE_M + 0.5 * _MAX_ACCELERATION * seconds * (seconds + window_s)
        return bool(np.linalg.norm(moved - velocity * seconds) > allowed_m)
