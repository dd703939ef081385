"""A depth map seen from another pose, compared with planes whose depth is known there."""

import numpy as np
import pytest

from depth_ros.geometry import parse_pose
from depth_ros.multiview.warp_depth import warp_depth
from depth_ros.types import Camera

CAMERA = Camera(80, 60, 70.0, 66.0, 38.5, 30.0)
HERE = np.eye(4)


def pose(text):
    return parse_pose(text).astype(np.float64)


def test_the_same_pose_gives_the_same_map():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (60, 80)).astype(np.float32)
    depth[rng.random((60, 80)) < 0.3] = np.nan
    depth[0, 0], depth[5, 5] = np.inf, -1.0
    warped, confidence = warp_depth(depth, np.full_like(depth, 0.8), CAMERA, HERE, HERE)
    expected = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)
    np.testing.assert_allclose(warped, expected, rtol=1e-6)
    np.testing.assert_array_equal(confidence, np.where(np.isnan(expected), 0, np.float32(0.8)))


@pytest.mark.parametrize(
    ('moved', 'distance'), [('0 0 0.5 0 0 0', 2.5), ('0.1 -0.05 0 0 0 0', 3.0), ('0 0 -0.4 0 0 0', 3.4)]
)
def test_a_wall_is_at_its_new_distance(moved, distance):
    depth = np.full((60, 80), 3.0, np.float32)
    warped, _ = warp_depth(depth, np.ones_like(depth), CAMERA, HERE, pose(moved))
    known = np.isfinite(warped)
    assert known[15:45, 20:60].all()
    np.testing.assert_allclose(warped[known], distance, rtol=1e-5)


def test_after_a_turn_a_wall_is_oblique_and_what_was_outside_of_the_image_is_unknown():
    depth = np.full((60, 80), 3.0, np.float32)
    warped, confidence = warp_depth(depth, np.ones_like(depth), CAMERA, HERE, pose('0 0 0 0 0.3 0'))
    x = (np.arange(80) - CAMERA.cx) / CAMERA.fx
    expected = 3.0 / (np.cos(0.3) - x * np.sin(0.3))  # along the ray (x, y, 1) turned to the right
    known = np.isfinite(warped)
    np.testing.assert_allclose(warped[known], np.broadcast_to(expected, (60, 80))[known], rtol=0.02)
    assert not known[:, 65:].any() and known[10:50, 5:40].mean() > 0.95
    np.testing.assert_array_equal(confidence > 0, known)


def test_the_nearer_surface_hides_the_farther_one():
    depth = np.full((60, 80), 4.0, np.float32)
    depth[20:40, 30:50] = 1.0
    certain = np.where(depth == 1, np.float32(0.9), np.float32(0.3))
    warped, confidence = warp_depth(depth, certain, CAMERA, HERE, pose('0.1 0 0 0 0 0'))
    # The near square moves by 70 * 0.1 / 1 = 7 px to the left, the wall by 1.75 px.
    assert (warped[21:39, 23:42] == 1).all() and (confidence[21:39, 24:42] == np.float32(0.9)).all()
    assert np.isnan(warped[25:35, 44:47]).all()  # was hidden by the square
    assert set(np.unique(warped[np.isfinite(warped)])) == {1.0, 4.0}  # nothing is interpolated


def test_what_is_behind_the_camera_is_unknown():
    depth = np.full((60, 80), 1.0, np.float32)
    assert np.isnan(warp_depth(depth, np.ones_like(depth), CAMERA, HERE, pose('0 0 2 0 0 0'))[0]).all()
    assert np.isnan(warp_depth(np.full_like(depth, np.nan), np.ones_like(depth), CAMERA, HERE, HERE)[0]).all()
