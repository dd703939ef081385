"""Keyframes of a moving camera, and the selection of those from which the depth of a view can be measured."""

import math
from collections import deque
from collections.abc import Sequence
from enum import Enum

import numpy as np

from depth_ros.multiview.view_geometry import baseline_m, parallax, pose_distance, rotation_rad
from depth_ros.types import View

DEFAULT_SOURCES = 4
"""Number of sources of one estimate."""
KEYFRAME_DISTANCE = 0.1
"""Pose distance from the newest keyframe at which a view becomes a keyframe."""
MIN_BASELINE_M = 0.04
"""Smallest baseline of a source. Shorter ones are within the noise of odometry."""
MIN_PARALLAX_PX = 1.5
"""Smallest mean parallax of a source, pixels of the reference."""
MIN_OVERLAP = 0.35
"""Smallest overlap of a source with the reference."""
DEFAULT_DEPTH_M = 2.5
"""Depth of the scene that is assumed before any depth was estimated."""
_IDEAL_BASELINE_M, _IDEAL_BASELINE_PER_DEPTH = 0.15, 0.08
_TURNED_RAD = 0.05
_TOLERANCE = 1e-3


class MotionState(Enum):
    """What the motion of the camera allows."""

    MOVING = 'moving'
    """At least one keyframe shows the scene of the view with parallax."""
    TOO_LITTLE_MOTION = 'too little motion'
    """Keyframes show the same scene without parallax, and the camera has not turned."""
    ROTATING = 'rotating'
    """Keyframes show the same scene without parallax: the camera has turned, but not moved."""
    NO_OVERLAP = 'no overlap'
    """No keyframe shows the scene of the view, or there are no keyframes."""


class KeyframeBuffer:
    """The newest keyframes of one camera. Used by one thread at a time.

    Args:
        capacity: Largest number of keyframes; the oldest is removed.
        max_age_s: Keyframes that are older than this, compared with the view, are not used as sources: the scene may
            have changed, and odometry drifts. 0 = no limit.
    """

    def __init__(self, capacity: int = 30, max_age_s: float = 0.0) -> None:
        self._keyframes: deque[View] = deque(maxlen=capacity)
        self._max_age_s = max_age_s

    def __len__(self) -> int:
        return len(self._keyframes)

    @property
    def keyframes(self) -> tuple[View, ...]:
        """The keyframes, oldest first."""
        return tuple(self._keyframes)

    def add(self, view: View) -> bool:
        """Add a view if its pose distance to the newest keyframe is at least ``KEYFRAME_DISTANCE``.

        Otherwise it is added only if that keyframe has reached half the largest age. Older keyframes at nearly the same
        pose are replaced by it. Call it after the depth of the view was estimated, with ``depth_m``, so that later
        estimates can be compared with it.

        Returns:
            Whether the view is a keyframe now.
        """
        newest = self._keyframes[-1] if self._keyframes else None
        if (
            newest is not None
            and pose_distance(newest.pose, view.pose) < KEYFRAME_DISTANCE - _TOLERANCE
            and not self._is_old(newest, view, 0.5)
        ):
            return False
        distinct = [each for each in self._keyframes if pose_distance(each.pose, view.pose) > KEYFRAME_DISTANCE / 2]
        self._keyframes.clear()
        self._keyframes.extend([*distinct, view])
        return True

    def clear(self) -> None:
        """Remove all keyframes, for example after the pose jumped."""
        self._keyframes.clear()

    def sources(self, reference: View, count: int = DEFAULT_SOURCES) -> list[View]:
        """Return at most ``count`` keyframes from which the depth of a view can be measured, the best one first.

        Empty unless ``motion(reference)`` is ``MOVING``.
        """
        return select_sources(reference, self._usable(reference), count)

    def motion(self, reference: View) -> MotionState:
        """Return what the motion up to this view allows."""
        return motion_state(reference, self._usable(reference))

    def _usable(self, reference: View) -> list[View]:
        return [each for each in self._keyframes if each is not reference and not self._is_old(each, reference)]

    def _is_old(self, keyframe: View, view: View, share: float = 1.0) -> bool:
        return 0 < share * self._max_age_s * 1e9 < view.stamp_ns - keyframe.stamp_ns


def select_sources(reference: View, keyframes: Sequence[View], count: int = DEFAULT_SOURCES) -> list[View]:
    """Return at most ``count`` of the keyframes from which the depth of a view can be measured, the best one first.

    The best baseline is 0.15 m across the viewing direction, after Düzçeker et al., "DeepVideoMVS", CVPR 2021, and 8 %
    of the depth of the scene where that is more. Motion along the viewing direction counts by the parallax that it
    causes. Rotation and missing overlap count against a keyframe. The last source is the one with the largest overlap,
    which shows the parts of the image that have only just come into view.
    """
    depth_m = scene_depth_m(keyframes)
    ranked = [
        (cost, index) for index, each in enumerate(keyframes) if (cost := _cost(reference, each, depth_m)) < math.inf
    ]
    usable = [keyframes[index] for _, index in sorted(ranked)]
    if len(usable) > count > 1:
        widest = max(usable[count - 1 :], key=lambda each: parallax(reference, each, depth_m).overlap)
        usable = [*usable[: count - 1], widest]
    return usable[:count]


def motion_state(reference: View, keyframes: Sequence[View]) -> MotionState:
    """Return what the motion between the keyframes and a view allows."""
    depth_m = scene_depth_m(keyframes)
    seen = [each for each in keyframes if parallax(reference, each, depth_m).overlap >= MIN_OVERLAP]
    if not seen:
        return MotionState.NO_OVERLAP
    if any(_cost(reference, each, depth_m) < math.inf for each in seen):
        return MotionState.MOVING
    turned = max(rotation_rad(reference.pose, each.pose) for each in seen) > _TURNED_RAD
    return MotionState.ROTATING if turned else MotionState.TOO_LITTLE_MOTION


def scene_depth_m(keyframes: Sequence[View]) -> float:
    """Return the median depth of the newest keyframe whose depth was estimated; ``DEFAULT_DEPTH_M`` without one."""
    for keyframe in reversed(keyframes):
        if keyframe.depth_m is not None:
            sampled = keyframe.depth_m[::4, ::4]
            known = sampled[np.isfinite(sampled) & (sampled > 0)]
            if known.size > 0.1 * sampled.size:
                return float(np.median(known))
    return DEFAULT_DEPTH_M


def _cost(reference: View, source: View, depth_m: float) -> float:
    """Return how far a source is from the ideal one, 0 or more; infinite if it cannot be used."""
    if baseline_m(reference.pose, source.pose) < MIN_BASELINE_M:
        return math.inf
    view = parallax(reference, source, depth_m)
    if view.overlap < MIN_OVERLAP or view.mean_px < MIN_PARALLAX_PX:
        return math.inf
    effective_m = view.mean_px * depth_m / source.camera.fx
    ideal_m = max(_IDEAL_BASELINE_M, _IDEAL_BASELINE_PER_DEPTH * depth_m)
    rotation = rotation_rad(reference.pose, source.pose)
    return abs(math.log(effective_m / ideal_m)) + rotation + 1.5 * (1 - view.overlap)
