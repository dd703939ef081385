"""Sensor poses from the tf messages of a recording."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np

from depth_ros.geometry import Quaternion, Translation, interpolated_pose, pose_matrix
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.types import Float32Array

_BUFFER_NS = 10_000_000_000
"""Duration of the history, the default of the tf2 buffer."""
_Pose = tuple[Translation, Quaternion]


class RecordedTransforms:
    """A tree of frames; moving transforms are interpolated, and constant before the first and after the last one."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._moving: dict[str, list[tuple[int, _Pose]]] = {}
        self._static: dict[str, Float32Array] = {}

    def add(self, message: Any, static: bool) -> None:
        """Add a tf2_msgs/TFMessage of ``/tf_static`` or ``/tf``."""
        for each in message.transforms:
            t, q = each.transform.translation, each.transform.rotation
            pose: _Pose = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
            child = each.child_frame_id.lstrip('/')
            self._parents[child] = each.header.frame_id.lstrip('/')
            if static:
                self._static[child] = pose_matrix(*pose)
                continue
            history, stamp = self._moving.setdefault(child, []), stamp_ns(each.header.stamp)
            if history and stamp < history[-1][0]:
                history.clear()  # time jumped back
            history.append((stamp, pose))
            while history[0][0] < stamp - _BUFFER_NS:
                history.pop(0)

    def __call__(self, target: str, source: str, stamp: int) -> Float32Array | None:
        """Return the (4, 4) pose of a source frame in a target frame; None if they are not connected."""
        source_poses = dict(self._ancestors(source, stamp))
        for frame, target_pose in self._ancestors(target, stamp):
            if frame in source_poses:
                return np.asarray(np.linalg.inv(target_pose) @ source_poses[frame], np.float32)
        return None

    def _ancestors(self, frame: str, stamp: int) -> Iterator[tuple[str, Float32Array]]:
        """Yield a frame and its ancestors up to the root, each with the pose of the given frame in it."""
        pose, visited = np.eye(4, dtype=np.float32), set()
        while frame not in visited:  # transforms from several publishers may form loops
            yield frame, pose
            visited.add(frame)
            if frame not in self._parents:
                return
            pose = self._in_parent(frame, stamp) @ pose
            frame = self._parents[frame]

    def _in_parent(self, frame: str, stamp: int) -> Float32Array:
        """Return the pose of a frame in its parent: interpolated."""
        if frame in self._static:
            return self._static[frame]
        history = self._moving[frame]
        index = bisect_left(history, stamp, key=lambda each: each[0])
        (before_ns, before), (after_ns, after) = history[max(index - 1, 0)], history[min(index, len(history) - 1)]
        fraction = float(np.clip((stamp - before_ns) / (after_ns - before_ns), 0, 1)) if after_ns > before_ns else 1.0
        return pose_matrix(*interpolated_pose(before, after, fraction))
