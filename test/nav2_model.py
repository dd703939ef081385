"""A small model of Nav2's obstacle layer (navigation2 a3a9704, observation_buffer.cpp and obstacle_layer.cpp).

One source is one cloud topic. Its points are transformed into the global frame; points that are not finite, or not between
``min_obstacle_height`` and ``max_obstacle_height``, are discarded for both marking and clearing. A cycle first clears the cells
on the rays to the remaining points of clearing sources, then marks the remaining points of marking sources.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Source:
    marking: bool
    clearing: bool
    min_obstacle_height: float = 0.0
    max_obstacle_height: float = 2.0
    obstacle_max_range: float = 2.5
    raytrace_max_range: float = 3.0


class ObstacleLayer:
    """A costmap of cells of 0.05 m, 8 m by 8 m, with the sensor's base at the middle, x forward and y left."""

    resolution, half = 0.05, 4.0

    def __init__(self):
        side = int(2 * self.half / self.resolution)
        self.lethal = np.zeros((side, side), bool)

    def cells(self, xy):
        return np.floor((np.asarray(xy) + self.half) / self.resolution).astype(int)

    def update(self, observations):
        """Take (source, points in the global frame, origin in the global frame) of one cycle."""
        kept = []
        for source, points, origin in observations:
            points = points[np.isfinite(points).all(axis=1)]
            z = points[:, 2]
            kept.append((source, points[(z >= source.min_obstacle_height) & (z <= source.max_obstacle_height)], origin))
        for source, points, origin in kept:
            if source.clearing:
                self._clear(points[:, :2], origin[:2], source.raytrace_max_range)
        for source, points, origin in kept:
            if source.marking:
                near = np.linalg.norm(points - origin, axis=1) < source.obstacle_max_range
                self._set(self.cells(points[near, :2]), True)

    def _clear(self, ends, origin, longest):
        for end in np.unique(self.cells(ends), axis=0):
            away = (end + 0.5) * self.resolution - self.half - origin
            length = np.linalg.norm(away)
            if length == 0:
                continue
            steps = np.arange(0, min(length, longest), self.resolution / 2)
            self._set(self.cells(origin + away / length * steps[:, None]), False)

    def _set(self, cells, value):
        inside = ((cells >= 0) & (cells < self.lethal.shape[0])).all(axis=1)
        self.lethal[cells[inside, 0], cells[inside, 1]] = value

    def marked(self, low, high):
        """Tell whether anything is marked between two corners."""
        (x0, y0), (x1, y1) = self.cells(low), self.cells(high)
        return bool(self.lethal[x0 : x1 + 1, y0 : y1 + 1].any())
