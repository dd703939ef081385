"""Rendering of camera images, depth and laser scans of the simulated robot."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.geometry import pixel_slopes
from depth_ros.sim.solids import Array, Hit, Solid
from depth_ros.sim.world import TEXEL_M, PlanarPose, World
from depth_ros.types import Camera, Float32Array, Float64Array, UInt8Array

_LIGHT = np.array([0.35, 0.25, 0.9], np.float32)


@dataclass(frozen=True)
class RobotMount:
    """Pose of a camera on the robot; the camera points forward, pitched down by ``pitch_rad``."""

    height_m: float = 0.5
    pitch_rad: float = 0.0
    left_m: float = 0.0
    """Offset from the centre of the robot to the left."""


def render(world: World, pose: PlanarPose, mount: RobotMount, camera: Camera) -> tuple[UInt8Array, Float32Array]:
    """Return the image, (H, W, 3) RGB, and the exact depth, (H, W) metres along the optical axis."""
    origin, turn = _camera_pose(pose, mount)
    rays = _rays(camera)
    direction = rays.reshape(-1, 3) @ turn.T
    hit = world.room.hit(origin, direction)
    depth = hit.distance.reshape(camera.height, camera.width)
    image = _painted_room(hit, world).reshape(camera.height, camera.width, 3)
    for solid, texture in zip(world.solids, world.solid_textures, strict=True):
        window = _window(solid, origin, turn, camera)
        if window is None:
            continue
        solid_hit = solid.hit(origin, (rays[window].reshape(-1, 3) @ turn.T))
        nearer = solid_hit.distance.reshape(depth[window].shape) < depth[window]
        if nearer.any():
            chosen = nearer.reshape(-1)
            depth[window][nearer] = solid_hit.distance[chosen]
            nearer_hit = Hit(solid_hit.distance[chosen], solid_hit.normal[chosen], solid_hit.uv[chosen])
            image[window][nearer] = _painted(nearer_hit, texture)
    return image, depth


def optical_pose(pose: PlanarPose, mount: RobotMount) -> Float64Array:
    """Return the (4, 4) pose of the optical frame of a camera in the world, metres."""
    matrix = np.eye(4)
    matrix[:3, 3], matrix[:3, :3] = _camera_pose(pose, mount)
    return matrix


def scan(world: World, pose: PlanarPose, height_m: float, count: int = 360) -> Float32Array:
    """Return the ranges of a level laser scan about the robot, metres, counter-clockwise from straight ahead."""
    angles = pose.yaw_rad + np.arange(count) * (2 * np.pi / count)
    direction = np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], axis=1).astype(np.float32)
    origin = np.array([pose.x, pose.y, height_m], np.float32)
    ranges = world.room.hit(origin, direction).distance
    for solid in world.solids:
        ranges = np.minimum(ranges, solid.hit(origin, direction).distance)
    return ranges


@lru_cache(maxsize=4)
def _rays(camera: Camera) -> Float32Array:
    """Return (H, W, 3) ray directions in the optical frame with z = 1, so that hit distances equal depth."""
    x, y = pixel_slopes(camera, np.arange(camera.width), np.arange(camera.height))
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def _camera_pose(pose: PlanarPose, mount: RobotMount) -> tuple[Array, Array]:
    """Return the position of the camera in the world, and the rotation from its optical frame to the world."""
    c, s = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
    forward, left, up = np.array([c, s, 0.0]), np.array([-s, c, 0.0]), np.array([0.0, 0.0, 1.0])
    centre = np.array([pose.x, pose.y, mount.height_m]) + mount.left_m * left
    cp, sp = np.cos(mount.pitch_rad), np.sin(mount.pitch_rad)
    ahead, down = cp * forward - sp * up, -sp * forward - cp * up
    return centre.astype(np.float32), np.stack([-left, down, ahead], axis=1).astype(np.float32)


def _window(solid: Solid, origin: Array, turn: Array, camera: Camera) -> tuple[slice, slice] | None:
    """Return the part of the image that can contain a solid, from its bounding sphere; None if it is not visible."""
    x, y, z = (np.array(solid.centre, np.float32) - origin) @ turn
    if z < -solid.radius:
        return None
    if z < solid.radius * 1.5:  # too near for a bound by projection
        return slice(0, camera.height), slice(0, camera.width)
    reach = 1.5 * solid.radius / (z - solid.radius)
    sides = []
    for centre, focal, principal, size in (
        (y / z, camera.fy, camera.cy, camera.height),
        (x / z, camera.fx, camera.cx, camera.width),
    ):
        low, high = principal + focal * (centre - reach), principal + focal * (centre + reach)
        sides.append(slice(max(0, int(low)), min(size, int(high) + 2)))
    rows, columns = sides
    return None if rows.start >= rows.stop or columns.start >= columns.stop else (rows, columns)


def _painted_room(hit: Hit, world: World) -> npt.NDArray[np.uint8]:
    colors = np.empty((len(hit.distance), 3), np.uint8)
    upwards = hit.normal[:, 2]
    for surface, texture in zip((upwards > 0.5, upwards < -0.5, abs(upwards) < 0.5), world.room_textures, strict=True):
        if surface.any():
            colors[surface] = _painted(Hit(hit.distance[surface], hit.normal[surface], hit.uv[surface]), texture)
    return colors


def _painted(hit: Hit, texture: UInt8Array) -> npt.NDArray[np.uint8]:
    """Return the colour of every hit: the texture of the surface, shaded."""
    at = (hit.uv / TEXEL_M).astype(np.float32)
    # remap takes at most 32767 rows or columns, so the points are arranged as an image.
    columns = 4096
    rows = -(-len(at) // columns)
    padded = np.zeros((rows * columns, 2), np.float32)
    padded[: len(at)] = at % texture.shape[0]
    grid = padded.reshape(rows, columns, 2)
    colors = cv2.remap(texture, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).reshape(-1, 3)[: len(at)]
    light = np.float32(0.55) + np.float32(0.45) * np.abs(hit.normal @ (_LIGHT / np.linalg.norm(_LIGHT)))
    return np.asarray(colors * light[:, None]).astype(np.uint8)
