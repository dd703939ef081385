"""Intersection of rays with boxes, cylinders, ramps, and the room around them.

World frame: x forward, y left, z up, metres (REP 103). Rays are an origin (3,) and directions (N, 3) of any length;
distances are in units of the length of the direction, +Inf without a hit.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_MIN_DISTANCE = 1e-3


@dataclass(frozen=True)
class Hit:
    """Intersections of rays with a solid."""

    distance: Array
    """(N,) in units of the length of the direction; +Inf without a hit."""
    normal: Array
    """(N, 3) unit vectors pointing outwards; undefined without a hit."""
    uv: Array
    """(N, 2) texture coordinates on the surface, metres."""


@dataclass(frozen=True)
class Room:
    """The inside of a box with the floor at z = 0."""

    half_x: float
    half_y: float
    height: float

    def hit(self, origin: Array, direction: Array) -> Hit:
        """Intersect rays with floor, ceiling and walls, from inside."""
        low = np.array([-self.half_x, -self.half_y, 0.0], np.float32)
        high = np.array([self.half_x, self.half_y, self.height], np.float32)
        with np.errstate(divide='ignore', invalid='ignore'):
            to_wall = np.divide(np.where(direction > 0, high - origin, low - origin), direction, dtype=np.float32)
        to_wall[~(to_wall > 0)] = np.inf
        axis = np.argmin(to_wall, axis=1)
        rows = np.arange(len(axis))
        distance = to_wall[rows, axis]
        normal = np.zeros_like(direction)
        normal[rows, axis] = -np.sign(direction[rows, axis])
        return Hit(distance, normal, _box_uv(origin + direction * distance[:, None], axis))


@dataclass(frozen=True)
class Box:
    """A box rotated about z; with a slope, its top is a ramp that rises along the x axis of the box."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw_rad: float = 0.0
    slope: float = 0.0
    """Rise of the top along the x axis of the box, metres per metre, about its centre."""

    @property
    def radius(self) -> float:
        """Radius of the bounding sphere around the centre."""
        x, y, z = self.half
        return float(np.sqrt(x * x + y * y + (z + abs(self.slope) * x) ** 2))

    def hit(self, origin: Array, direction: Array) -> Hit:
        """Intersect rays with the surface from outside: the last plane entered, before the first plane left."""
        turn = _about_z(-self.yaw_rad)
        o = turn @ (origin - np.array(self.centre, np.float32))
        d = direction @ turn.T
        normals, offsets = self._planes()
        enter = np.full(len(d), -np.inf, np.float32)
        leave = np.full(len(d), np.inf, np.float32)
        face = np.zeros(len(d), np.intp)
        for index, (normal, offset) in enumerate(zip(normals, offsets, strict=True)):
            speed = d @ normal
            gap = offset - float(normal @ o)
            with np.errstate(divide='ignore', invalid='ignore'):
                at = gap / speed
            inwards = speed < 0
            better = inwards & (at > enter)
            enter[better], face[better] = at[better], index
            leave = np.where(speed > 0, np.minimum(leave, at), leave)
            if gap < 0:  # outside this plane: rays that do not approach it miss
                leave[(speed >= 0)] = -np.inf
        missed = (enter > leave) | (enter < _MIN_DISTANCE)
        distance = np.where(missed, np.float32(np.inf), enter)
        at_surface = o + d * np.where(missed, 0, enter)[:, None]
        axis = np.array([0, 0, 1, 1, 2, 2])[face]
        return Hit(distance, (normals[face] @ turn).astype(np.float32), _box_uv(at_surface, axis))

    def _planes(self) -> tuple[Array, Array]:
        x, y, z = self.half
        top = np.array([-self.slope, 0.0, 1.0]) / np.hypot(self.slope, 1.0)
        normals = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], top, [0, 0, -1]], np.float32)
        return normals, np.array([x, x, y, y, z * top[2], z], np.float32)


@dataclass(frozen=True)
class Cylinder:
    """A standing cylinder, from the floor up."""

    centre_xy: tuple[float, float]
    radius_m: float
    height: float

    @property
    def centre(self) -> tuple[float, float, float]:
        """Centre of the solid."""
        return (*self.centre_xy, self.height / 2)

    @property
    def radius(self) -> float:
        """Radius of the bounding sphere around the centre."""
        return float(np.hypot(self.radius_m, self.height / 2))

    def hit(self, origin: Array, direction: Array) -> Hit:
        """Intersect rays with the side or the top from outside."""
        o, d = origin[:2] - np.array(self.centre_xy, np.float32), direction[:, :2]
        a, b = (d * d).sum(axis=1), d @ o
        under_root = b * b - a * (float(o @ o) - self.radius_m**2)
        with np.errstate(divide='ignore', invalid='ignore'):
            side = (-b - np.sqrt(under_root)) / a
            top = (self.height - origin[2]) / direction[:, 2]
        z = origin[2] + side * direction[:, 2]
        side[~((under_root > 0) & (side > _MIN_DISTANCE) & (z >= 0) & (z <= self.height))] = np.inf
        on_top = o + d * np.where(np.isfinite(top), top, 0)[:, None]
        top[~((top > _MIN_DISTANCE) & (direction[:, 2] < 0) & ((on_top**2).sum(axis=1) <= self.radius_m**2))] = np.inf
        distance = np.minimum(side, top).astype(np.float32)
        at = np.where(np.isfinite(distance), distance, 0)[:, None]
        point, upwards = o + d * at, top < side
        normal = np.zeros((len(d), 3), np.float32)
        normal[:, :2] = np.where(upwards[:, None], 0, point / self.radius_m)
        normal[:, 2] = upwards
        around = np.arctan2(point[:, 1], point[:, 0]) * self.radius_m
        height = origin[2] + direction[:, 2] * at[:, 0]
        side_uv = np.stack([around, height], axis=1)
        return Hit(distance, normal, np.where(upwards[:, None], point, side_uv).astype(np.float32))


Solid = Box | Cylinder


def _box_uv(points: Array, axis: npt.NDArray[np.intp]) -> Array:
    """Return the two coordinates that span the face across an axis."""
    x, y, z = points.T
    return np.stack([np.where(axis == 0, y, x), np.where(axis == 2, y, z)], axis=1).astype(np.float32)


def _about_z(angle_rad: float) -> Array:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
