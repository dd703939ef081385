"""Where sensors sit, by the tf messages of a recording."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np

from depth_ros.geometry import pose_matrix
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.types import Float32Array

_KEPT_NS = 10_000_000_000
"""As much as tf2's buffer keeps."""
_Pose = tuple[tuple[float, float, float], tuple[float, float, float, float]]


class Transforms:
    """Frames and their parents; a moving one is interpolated, and held before and after what is known of it."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._moving: dict[str, list[tuple[int, _Pose]]] = {}
        self._static: dict[str, Float32Array] = {}

    def add(self, message: Any, static: bool) -> None:
        """Take a tf2_msgs/TFMessage of ``/tf_static`` or ``/tf``."""
        for each in message.transforms:
            t, q = each.transform.translation, each.transform.rotation
            pose: _Pose = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
            child = each.child_frame_id.lstrip('/')
            self._parents[child] = each.header.frame_id.lstrip('/')
            if static:
                self._static[child] = pose_matrix(*pose)
                continue
            known, stamp = self._moving.setdefault(child, []), stamp_ns(each.header.stamp)
            if known and stamp < known[-1][0]:
                known.clear()  # its time jumped back
            known.append((stamp, pose))
            while known[0][0] < stamp - _KEPT_NS:
                known.pop(0)

    def __call__(self, target: str, source: str, stamp: int) -> Float32Array | None:
        """Return the pose of a source frame in a target frame; None if they are not connected."""
        to_root = dict(self._up(source, stamp))
        for frame, from_target in self._up(target, stamp):
            if frame in to_root:
                return np.asarray(np.linalg.inv(from_target) @ to_root[frame], np.float32)
        return None

    def _up(self, frame: str, stamp: int) -> Iterator[tuple[str, Float32Array]]:
        """Yield every frame from one up to its root, with the pose of the first in it."""
        pose, seen = np.eye(4, dtype=np.float32), set()
        while frame not in seen:  # tf of two sources may have loops
            yield frame, pose
            seen.add(frame)
            if frame not in self._parents:
                return
            pose = self._in_parent(frame, stamp) @ pose
            frame = self._parents[frame]

    def _in_parent(self, frame: str, stamp: int) -> Float32Array:
        if frame in self._static:
            return self._static[frame]
        known = self._moving[frame]
        at = bisect_left(known, stamp, key=lambda each: each[0])
        (before_ns, before), (after_ns, after) = known[max(at - 1, 0)], known[min(at, len(known) - 1)]
        share = float(np.clip((stamp - before_ns) / (after_ns - before_ns), 0, 1)) if after_ns > before_ns else 1.0
        t = (1 - share) * np.array(before[0]) + share * np.array(after[0])
        a, b = np.array(before[1]), np.array(after[1])
        q = (1 - share) * a + share * (b if a @ b >= 0 else -b)
        return pose_matrix(tuple(t), tuple(q / np.linalg.norm(q)))
