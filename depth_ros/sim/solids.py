"""Convex solids and what a ray hits: boxes, cylinders, ramps, and the room around them.

World frame: x forward, y left, z up, metres (REP 103). Rays are an origin (3,) and directions (N, 3) of any length;
hits are distances in units of the direction's length, +Inf where nothing is hit.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_NEAREST = 1e-3


@dataclass(frozen=True)
class Hit:
    """Where rays meet a solid."""

    distance: Array
    """(N,) in lengths of the direction."""
    normal: Array
    """(N, 3) unit, outwards; undefined where nothing is hit."""
    uv: Array
    """(N, 2) metres on the surface, for textures."""


@dataclass(frozen=True)
class Room:
    """The inside of a box: floor at z = 0."""

    half_x: float
    half_y: float
    height: float

    def hit(self, origin: Array, direction: Array) -> Hit:
        """Meet floor, ceiling and walls from inside."""
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
    """A box standing anywhere, turned about z; with a slope, its top is a ramp that rises along its own x."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw_rad: float = 0.0
    slope: float = 0.0
    """Rise of the top along its own x, metres a metre, about its middle."""

    @property
    def radius(self) -> float:
        """Of a sphere about the centre that holds it."""
        x, y, z = self.half
        return float(np.sqrt(x * x + y * y + (z + abs(self.slope) * x) ** 2))

    def hit(self, origin: Array, direction: Array) -> Hit:
        """Meet the surface from outside: the last plane entered before the first one left."""
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
            if gap < 0:  # outside this plane: rays that never come nearer miss
                leave[(speed >= 0)] = -np.inf
        missed = (enter > leave) | (enter < _NEAREST)
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
        """Middle of the solid."""
        return (*self.centre_xy, self.height / 2)

    @property
    def radius(self) -> float:
        """Of a sphere about the centre that holds it."""
        return float(np.hypot(self.radius_m, self.height / 2))

    def hit(self, origin: Array, direction: Array) -> Hit:
        """Meet the mantle or the lid from outside."""
        o, d = origin[:2] - np.array(self.centre_xy, np.float32), direction[:, :2]
        a, b = (d * d).sum(axis=1), d @ o
        under_root = b * b - a * (float(o @ o) - self.radius_m**2)
        with np.errstate(divide='ignore', invalid='ignore'):
            mantle = (-b - np.sqrt(under_root)) / a
            lid = (self.height - origin[2]) / direction[:, 2]
        z = origin[2] + mantle * direction[:, 2]
        mantle[~((under_root > 0) & (mantle > _NEAREST) & (z >= 0) & (z <= self.height))] = np.inf
        on_lid = o + d * np.where(np.isfinite(lid), lid, 0)[:, None]
        lid[~((lid > _NEAREST) & (direction[:, 2] < 0) & ((on_lid**2).sum(axis=1) <= self.radius_m**2))] = np.inf
        distance = np.minimum(mantle, lid).astype(np.float32)
        at = np.where(np.isfinite(distance), distance, 0)[:, None]
        point, upwards = o + d * at, lid < mantle
        normal = np.zeros((len(d), 3), np.float32)
        normal[:, :2] = np.where(upwards[:, None], 0, point / self.radius_m)
        normal[:, 2] = upwards
        around = np.arctan2(point[:, 1], point[:, 0]) * self.radius_m
        height = origin[2] + direction[:, 2] * at[:, 0]
        side = np.stack([around, height], axis=1)
        return Hit(distance, normal, np.where(upwards[:, None], point, side).astype(np.float32))


Solid = Box | Cylinder


def _box_uv(points: Array, axis: npt.NDArray[np.intp]) -> Array:
    """Return the two coordinates that span the face across an axis."""
    x, y, z = points.T
    return np.stack([np.where(axis == 0, y, x), np.where(axis == 2, y, z)], axis=1).astype(np.float32)


def _about_z(angle_rad: float) -> Array:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
