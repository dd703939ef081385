"""State of the temporal filter: the previous map."""

from dataclasses import replace

from depth_ros.stages.filters import stabilized
from depth_ros.types import DepthMap

_GAIN, _CHANGE = 0.4, 0.1
_MAX_GAP_NS = 1_000_000_000


class Stabilizer:
    """Smooths the maps of one camera over time.

    A previous map that is older than one second, newer, or of another source is ignored.
    """

    def __init__(self) -> None:
        self._before: DepthMap | None = None

    def apply(self, depth: DepthMap) -> DepthMap:
        """Return the map with static pixels smoothed."""
        before = self._before
        if before is not None:
            follows = 0 <= depth.stamp_ns - before.stamp_ns <= _MAX_GAP_NS
            before = before if follows and before.source == depth.source else None
        smoothed = stabilized(depth.depth_m, before.depth_m if before else None, _GAIN, _CHANGE)
        self._before = replace(depth, depth_m=smoothed)
        return self._before
