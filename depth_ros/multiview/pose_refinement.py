"""Correction of the relative pose of two views, within the noise of odometry, by corners that are tracked between them.

A rotation error of 0.2° moves the pixels as much as the depth does. The length of the motion cannot be measured from
images, and is that of the odometry.
"""

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.types import Camera, Float32Array, Float64Array, UInt8Array

_CORNERS, _MIN_TRACKED, _MIN_DISTANCE_PX = 200, 20, 6
_MAX_ROUND_TRIP_PX = 0.5
_ROTATION_NOISE_RAD, _TRANSLATION_NOISE_M = np.deg2rad(0.3), 0.01
_TRACKING_NOISE_PX = 0.25
_AGREEING_PX = 0.12
"""A motion whose median distance is smaller is not changed: it is more accurate than the tracked corners."""
_STEPS, _DIFFERENCE = 4, 1e-5


def refined_motion(
    reference: UInt8Array, source: UInt8Array, camera: Camera, source_camera: Camera, motion: Float64Array,
    depth_m: float,
) -> Float64Array:  # fmt: skip
    """Return the (4, 4) motion from the reference to a source that agrees with tracked corners.

    Minimises the Sampson distances of the corners and the change of the motion, each divided by its noise. The
    motion is returned unchanged if there are too few corners, or if it agrees with them already.

    Args:
        reference: (H, W) grey values.
        source: Grey values.
        camera: Intrinsics of the reference.
        source_camera: Intrinsics of the source.
        motion: (4, 4) matrix that takes points of the reference to the source.
        depth_m: Typical depth of the scene, for the first guess of the tracking.
    """
    k, k_source = _matrix(camera), _matrix(source_camera)
    plane = k_source @ (motion[:3, :3] + np.outer(motion[:3, 3], [0, 0, 1 / depth_m])) @ np.linalg.inv(k)
    first, second = _tracked(reference, source, plane)
    if len(first) < _MIN_TRACKED:
        return motion
    rays, source_rays = first @ np.linalg.inv(k).T, second @ np.linalg.inv(k_source).T
    focal = np.array([camera.fx, camera.fy]), np.array([source_camera.fx, source_camera.fy])
    if np.median(np.abs(_sampson_px(motion, rays, source_rays, focal))) < _AGREEING_PX:
        return motion
    stiffness = np.repeat([1 / _ROTATION_NOISE_RAD**2, 1 / _TRANSLATION_NOISE_M**2], 3)
    change = np.zeros(6)
    for _ in range(_STEPS):
        residual = _sampson_px(_changed(motion, change), rays, source_rays, focal)
        steps = np.eye(6) * _DIFFERENCE
        slopes = [
            (_sampson_px(_changed(motion, change + step), rays, source_rays, focal) - residual) / _DIFFERENCE
            for step in steps
        ]
        jacobian = np.stack(slopes, axis=1)
        weight = 1 / (_TRACKING_NOISE_PX**2 * (1 + (residual / (2 * _TRACKING_NOISE_PX)) ** 2))
        normal = jacobian.T @ (weight[:, None] * jacobian) + np.diag(stiffness)
        change = change - np.linalg.solve(normal, jacobian.T @ (weight * residual) + stiffness * change)
    return _changed(motion, change)


def _tracked(reference: UInt8Array, source: UInt8Array, guess: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return homogeneous pixels (N, 3) of corners of the reference, and of the same corners in the source."""
    rows, columns = reference.shape
    height, width = (max(each) for each in zip(reference.shape, source.shape, strict=True))
    reference, source = (
        cv2.copyMakeBorder(each, 0, height - each.shape[0], 0, width - each.shape[1], cv2.BORDER_CONSTANT)
        for each in (reference, source)
    )  # the tracker requires images of one size
    corners = cv2.goodFeaturesToTrack(reference[:rows, :columns], _CORNERS, 0.01, _MIN_DISTANCE_PX)
    if corners is None:
        return np.zeros((0, 3)), np.zeros((0, 3))
    guessed = cv2.perspectiveTransform(corners, guess).astype(np.float32)
    found, forth = _followed(reference, source, corners, guessed)
    returned, back = _followed(source, reference, found, corners)
    near = np.abs(returned - corners).max(axis=(1, 2)) < _MAX_ROUND_TRIP_PX
    both = forth & back & near
    return _homogeneous(corners[both, 0]), _homogeneous(found[both, 0])


def _followed(
    first: UInt8Array, second: UInt8Array, pixels: Float32Array, guess: Float32Array
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Return (N, 1, 2) pixels of the second image that show pixels of the first, and which of them were found."""
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        first, second, pixels, guess.copy(), winSize=(11, 11), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return np.asarray(found), np.asarray(status)[:, 0] > 0


def _sampson_px(
    motion: Float64Array, rays: Float64Array, source_rays: Float64Array, focal: tuple[Float64Array, Float64Array]
) -> Float64Array:
    """Return the (N,) signed distances of matches from the epipolar geometry of a motion, pixels, to first order."""
    t = motion[:3, 3]
    essential = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]]) @ motion[:3, :3]
    lines, source_lines = source_rays @ essential, rays @ essential.T
    error = np.sum(source_rays * source_lines, axis=1)
    slopes = np.sum((lines[:, :2] / focal[0]) ** 2 + (source_lines[:, :2] / focal[1]) ** 2, axis=1)
    return np.asarray(error / np.sqrt(np.maximum(slopes, 1e-18)))


def _changed(motion: Float64Array, change: Float64Array) -> Float64Array:
    """Return a motion turned by a rotation vector and moved: change is (rx, ry, rz, x, y, z)."""
    changed = motion.copy()
    changed[:3, :3] = cv2.Rodrigues(change[:3])[0] @ motion[:3, :3]
    changed[:3, 3] += change[3:]
    return changed


def _matrix(camera: Camera) -> Float64Array:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


def _homogeneous(pixels: Float32Array) -> Float64Array:
    return np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1).astype(np.float64)
