"""Random worlds from a seed: a room or corridor with solids, and the path of the robot."""

from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.sim.solids import Box, Cylinder, Room, Solid
from depth_ros.types import UInt8Array

_TEXELS = 512
TEXEL_M = 0.01
"""Size of a texture pixel on a surface, metres; textures repeat after 5.12 m."""


@dataclass(frozen=True)
class PlanarPose:
    """Pose of the robot on the floor."""

    x: float
    y: float
    yaw_rad: float


@dataclass(frozen=True)
class World:
    """Room, solids, and their textures, each (512, 512, 3) RGB."""

    room: Room
    solids: tuple[Solid, ...]
    room_textures: tuple[UInt8Array, ...]
    """Textures of floor, ceiling and walls."""
    solid_textures: tuple[UInt8Array, ...]
    seed: int

    def pose_at(self, time_s: float) -> PlanarPose:
        """Return the pose of the robot: on an ellipse around the centre, facing forward, 30 s per round."""
        angle = 2 * np.pi * time_s / 30.0 + self.seed
        a, b = 0.45 * self.room.half_x, 0.45 * self.room.half_y
        heading = np.arctan2(b * np.cos(angle), -a * np.sin(angle))
        return PlanarPose(float(a * np.cos(angle)), float(b * np.sin(angle)), float(heading))


def make_world(seed: int) -> World:
    """Create a world; the same seed gives the same world."""
    rng = np.random.default_rng(seed)
    corridor = rng.random() < 0.3
    half_y = rng.uniform(1.4, 2.0) if corridor else rng.uniform(3.0, 5.0)
    room = Room(float(rng.uniform(4.0, 7.0)), float(half_y), float(rng.uniform(2.4, 3.2)))
    solids = tuple(_solid(rng, room) for _ in range(rng.integers(6, 13)))
    room_textures, solid_textures = ([_texture(rng) for _ in range(n)] for n in (3, len(solids)))
    return World(room, solids, tuple(room_textures), tuple(solid_textures), seed)


def _solid(rng: np.random.Generator, room: Room) -> Solid:
    """Return a solid beside the path of the robot, with half a metre of clearance."""
    angle = rng.uniform(0, 2 * np.pi)
    ring = rng.choice([0.15, 0.8])  # inside or outside of the path
    x, y = float(ring * room.half_x * np.cos(angle)), float(ring * room.half_y * np.sin(angle))
    height = float(rng.uniform(0.2, 1.8))
    reach = 0.16 * room.half_y
    kind = rng.integers(3)
    if kind == 0:
        return Cylinder((x, y), float(rng.uniform(0.03, reach)), height)
    half = (float(rng.uniform(0.05, reach)), float(rng.uniform(0.05, reach)), height / 2)
    slope = float(rng.uniform(0.2, 0.6)) if kind == 2 else 0.0
    return Box((x, y, height / 2), half, float(rng.uniform(0, np.pi)), slope)


def _texture(rng: np.random.Generator) -> UInt8Array:
    """Return noise at several scales around one colour, which is distinctive at all distances."""
    noise = np.zeros((_TEXELS, _TEXELS), np.float32)
    for side, weight in ((8, 0.5), (32, 0.8), (128, 1.0), (512, 0.6)):
        octave = rng.normal(size=(side, side)).astype(np.float32)
        noise += weight * cv2.resize(octave, (_TEXELS, _TEXELS), interpolation=cv2.INTER_CUBIC)
    color = rng.uniform(60, 200, 3)
    return np.clip(color + 28 * noise[..., None], 0, 255).astype(np.uint8)
