"""The memory of temporal stabilisation: the map before."""

from dataclasses import replace

from depth_ros.stages.filters import stabilized
from depth_ros.types import DepthMap

_GAIN, _CHANGE = 0.4, 0.1
_LONGEST_GAP_NS = 1_000_000_000


class Stabilizer:
    """Stabilises the maps of one camera. Forgets what is older than a second, or newer than now: time jumped."""

    def __init__(self) -> None:
        self._before: DepthMap | None = None

    def apply(self, depth: DepthMap) -> DepthMap:
        """Return the map with static pixels held still."""
        before = self._before
        if before is not None and not 0 <= depth.stamp_ns - before.stamp_ns <= _LONGEST_GAP_NS:
            before = None
        steady = stabilized(depth.depth_m, before.depth_m if before else None, _GAIN, _CHANGE)
        self._before = replace(depth, depth_m=steady)
        return self._before
