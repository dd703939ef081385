"""Sequences of the simulated robot: images, exact depth, and poses with or without the noise of odometry."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import cv2
import numpy as np

from depth_ros.evaluation.datasets.posed_sequence import PosedFrame, PosedSequence
from depth_ros.sim.render import RobotMount, optical_pose, render
from depth_ros.sim.solids import Cylinder
from depth_ros.sim.world import PlanarPose, World, make_world
from depth_ros.types import Camera, Float64Array, View

_CAMERA = Camera(320, 240, 256.0, 256.0, 159.5, 119.5)
_MOUNT = RobotMount(0.5)
_STEP_M, _STEP_NS = 0.1, 200_000_000
_OBJECT_RADIUS_M, _OBJECT_HEIGHT_M, _OBJECT_AHEAD_M, _OBJECT_STEP_M = 0.25, 1.2, 1.8, 0.12

Motion = Literal['forward', 'sideways', 'arc']
"""forward: straight ahead; arc: along the ellipse of ``World.pose_at``; sideways: the same, looking outwards."""


@dataclass(frozen=True)
class OdometryNoise:
    """Errors of odometry."""

    scale: float = 0.01
    """Relative error of the distance."""
    translation_m: float = 0.01
    """Standard deviation of every coordinate of every pose."""
    rotation_deg: float = 0.2
    """Standard deviation of the rotation of every pose about every axis."""


def simulated_sequence(
    seed: int, motion: Motion, frames: int = 12, noise: OdometryNoise | None = None, moving_object: bool = False
) -> PosedSequence:
    """Return a sequence of the simulated robot, 0.1 m between the images.

    Args:
        seed: Seed of the world and of the noise.
        motion: The motion.
        frames: Number of frames.
        noise: Errors of the poses; None = exact poses.
        moving_object: Whether a cylinder crosses the view.
    """
    world = make_world(seed)
    poses = _path(world, motion, frames)
    exact = [optical_pose(pose, _MOUNT) for pose in poses]
    measured = exact if noise is None else _with_noise(exact, noise, seed)

    def load(index: int) -> PosedFrame:
        scene = _with_object(world, poses[0], index) if moving_object else world
        image, truth_m = render(scene, poses[index], _MOUNT, _CAMERA)
        moving = None
        if moving_object:
            _, without = render(world, poses[index], _MOUNT, _CAMERA)
            moving = truth_m < without
        view = View(image, _CAMERA, measured[index], index * _STEP_NS, 'camera')
        return PosedFrame(f'{index:04d}', view, truth_m, moving)

    loaders: list[Callable[[], PosedFrame]] = [partial(load, index) for index in range(frames)]
    return PosedSequence(f'sim:{seed}:{motion}', loaders, frames)


def _path(world: World, motion: Motion, frames: int) -> list[PlanarPose]:
    """Return poses 0.1 m apart on the ellipse of the robot, or on a straight line."""
    a, b = 0.45 * world.room.half_x, 0.45 * world.room.half_y
    angle = float(world.seed)
    poses = []
    for index in range(frames):
        x, y = a * np.cos(angle), b * np.sin(angle)
        speed = float(np.hypot(a * np.sin(angle), b * np.cos(angle)))
        heading = float(np.arctan2(b * np.cos(angle), -a * np.sin(angle)))
        poses.append(PlanarPose(float(x), float(y), heading - (np.pi / 2 if motion == 'sideways' else 0)))
        if motion == 'forward':
            first = poses[0]
            poses[index] = PlanarPose(
                first.x + index * _STEP_M * float(np.cos(first.yaw_rad)),
                first.y + index * _STEP_M * float(np.sin(first.yaw_rad)),
                first.yaw_rad,
            )
        angle += _STEP_M / speed
    return poses


def _with_noise(poses: list[Float64Array], noise: OdometryNoise, seed: int) -> list[Float64Array]:
    rng = np.random.default_rng(seed)
    first = poses[0][:3, 3]
    noisy = []
    for pose in poses:
        turn = cv2.Rodrigues(rng.normal(0, np.deg2rad(noise.rotation_deg), 3))[0]
        changed = pose.copy()
        changed[:3, :3] = pose[:3, :3] @ turn
        changed[:3, 3] = first + (1 + noise.scale) * (pose[:3, 3] - first) + rng.normal(0, noise.translation_m, 3)
        noisy.append(changed)
    return noisy


def _with_object(world: World, start: PlanarPose, index: int) -> World:
    """Return the world with a cylinder that crosses the view from right to left."""
    ahead, left = _OBJECT_AHEAD_M, (index - 8) * _OBJECT_STEP_M
    c, s = np.cos(start.yaw_rad), np.sin(start.yaw_rad)
    centre = (float(start.x + ahead * c - left * s), float(start.y + ahead * s + left * c))
    cylinder = Cylinder(centre, _OBJECT_RADIUS_M, _OBJECT_HEIGHT_M)
    textures = (*world.solid_textures, world.room_textures[-1])
    return replace(world, solids=(*world.solids, cylinder), solid_textures=textures)
