"""Exact views of textured rectangles that face the z axis, for tests of multi-view depth."""

from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.geometry import parse_pose
from depth_ros.types import Camera, View

CAMERA = Camera(160, 120, 150.0, 140.0, 78.0, 61.0)


@dataclass(frozen=True)
class Rectangle:
    """A textured rectangle at a depth of the fixed frame, tilted about the vertical."""

    z: float
    x: tuple = (-50.0, 50.0)
    y: tuple = (-50.0, 50.0)
    seed: int = 0
    slope: float = 0.0
    """Increase of z per metre of x."""

    def hit(self, origin, rays):
        """Return the distance along each ray, +Inf without a hit, and the grey value."""
        with np.errstate(divide='ignore', invalid='ignore'):
            distance = (self.z + self.slope * origin[0] - origin[2]) / (rays[..., 2] - self.slope * rays[..., 0])
            x, y = (origin[i] + distance * rays[..., i] for i in (0, 1))
        outside = (distance <= 0) | (x < self.x[0]) | (x > self.x[1]) | (y < self.y[0]) | (y > self.y[1])
        distance = np.where(outside, np.inf, distance)
        at = [((each - low) / 0.02 % 512).astype(np.float32) for each, low in ((x, self.x[0]), (y, self.y[0]))]
        return distance, cv2.remap(_texture(self.seed), *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _texture(seed):
    rng = np.random.default_rng(seed)
    noise = sum(
        weight * cv2.resize(rng.normal(size=(side, side)).astype(np.float32), (512, 512), interpolation=cv2.INTER_CUBIC)
        for side, weight in ((16, 0.6), (64, 1.0), (160, 0.8))
    )
    return np.clip(128 + 30 * noise, 0, 255).astype(np.float32)


def view_of(rectangles, x=0.0, y=0.0, z=0.0, roll=0.0, pitch=0.0, yaw=0.0, camera=CAMERA, stamp_s=0.0):
    """Return the view of rectangles from a pose, and its exact depth."""
    pose = parse_pose(f'{x} {y} {z} {pitch} {yaw} {roll}').astype(np.float64)
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    depth, image = np.full(u.shape, np.inf), np.zeros(u.shape, np.float32)
    for rectangle in rectangles:
        distance, grey = rectangle.hit(pose[:3, 3], rays @ pose[:3, :3].T)
        image = np.where(distance < depth, grey, image)
        depth = np.minimum(depth, distance)
    return View(np.rint(image).astype(np.uint8), camera, pose, round(stamp_s * 1e9), 'camera'), depth.astype(np.float32)
