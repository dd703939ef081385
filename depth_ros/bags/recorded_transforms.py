"""Sensor poses from the tf messages of a recording."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from depth_ros.geometry import Quaternion, Translation, interpolated_pose, precise_pose_matrix
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.types import Float32Array, Float64Array

_BUFFER_S = 10.0
"""Duration of the history, the default of the tf2 buffer."""
_TOLERANCE_NS = 2_000_000
_Pose = tuple[Translation, Quaternion]


class RecordedTransforms:
    """A tree of frames; moving transforms are interpolated.

    Args:
        buffer_s: Transforms that are older than this, compared with the newest one, are discarded; infinite = none.
    """

    def __init__(self, buffer_s: float = _BUFFER_S) -> None:
        self._buffer_ns = buffer_s * 1e9
        self._parents: dict[str, str] = {}
        self._moving: dict[str, list[tuple[int, _Pose]]] = {}
        self._static: dict[str, Float64Array] = {}

    def add(self, message: Any, static: bool) -> None:
        """Add a tf2_msgs/TFMessage of ``/tf_static`` or ``/tf``."""
        for each in message.transforms:
            t, q = each.transform.translation, each.transform.rotation
            pose: _Pose = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
            child = each.child_frame_id.lstrip('/')
            self._parents[child] = each.header.frame_id.lstrip('/')
            if static:
                self._static[child] = precise_pose_matrix(*pose)
                continue
            history, stamp = self._moving.setdefault(child, []), stamp_ns(each.header.stamp)
            if history and stamp < history[-1][0]:
                history.clear()  # time jumped back
            history.append((stamp, pose))
            while history[0][0] < stamp - self._buffer_ns:
                history.pop(0)

    def __call__(self, target: str, source: str, stamp: int) -> Float32Array | None:
        """Return the (4, 4) pose of a source frame in a target frame; None if they are not connected.

        Moving transforms are constant before the first and after the last one.
        """
        pose = self._pose(target, source, stamp, self._in_parent)
        return None if pose is None else pose.astype(np.float32)

    def at_stamp(self, target: str, source: str, stamp: int) -> Float64Array | None:
        """Return the same in double precision; None also if the stamp is outside of the recorded transforms."""
        return self._pose(target, source, stamp, self._recorded_in_parent)

    def _pose(
        self, target: str, source: str, stamp: int, in_parent: Callable[[str, int], Float64Array | None]
    ) -> Float64Array | None:
        source_poses = dict(self._ancestors(source, stamp, in_parent))
        for frame, target_pose in self._ancestors(target, stamp, in_parent):
            if frame in source_poses:
                return np.linalg.inv(target_pose) @ source_poses[frame]
        return None

    def _ancestors(
        self, frame: str, stamp: int, in_parent: Callable[[str, int], Float64Array | None]
    ) -> Iterator[tuple[str, Float64Array]]:
        """Yield a frame and its ancestors up to the root, each with the pose of the given frame in it."""
        pose, visited = np.eye(4), set()
        while frame not in visited:  # transforms from several publishers may form loops
            yield frame, pose
            visited.add(frame)
            step = in_parent(frame, stamp) if frame in self._parents else None
            if step is None:
                return
            pose = step @ pose
            frame = self._parents[frame]

    def _recorded_in_parent(self, frame: str, stamp: int) -> Float64Array | None:
        """Return the pose of a frame in its parent; None if the stamp is outside of the recorded transforms."""
        history = self._moving.get(frame)
        if frame in self._static or history is None:
            return self._in_parent(frame, stamp)
        recorded = history[0][0] - _TOLERANCE_NS <= stamp <= history[-1][0] + _TOLERANCE_NS
        return self._in_parent(frame, stamp) if recorded else None

    def _in_parent(self, frame: str, stamp: int) -> Float64Array:
        """Return the pose of a frame in its parent."""
        if frame in self._static:
            return self._static[frame]
        history = self._moving[frame]
        index = bisect_left(history, stamp, key=lambda each: each[0])
        (before_ns, before), (after_ns, after) = history[max(index - 1, 0)], history[min(index, len(history) - 1)]
        fraction = float(np.clip((stamp - before_ns) / (after_ns - before_ns), 0, 1)) if after_ns > before_ns else 1.0
        return precise_pose_matrix(*interpolated_pose(before, after, fraction))
