"""The simulator: exact, reproducible, and consistent between camera, matcher and scanner."""

import numpy as np
import pytest

from depth_ros.pipeline import depth_map, stereo_estimator
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.sim.render import RobotMount, render, scan
from depth_ros.sim.solids import Box, Cylinder, Room
from depth_ros.sim.world import PlanarPose, World, make_world
from depth_ros.types import Camera, StereoFrame, StereoRig

CAMERA = Camera(160, 120, 130.0, 130.0, 79.5, 59.5)
HERE = PlanarPose(0.0, 0.0, 0.0)


def grey(count):
    return tuple(np.full((512, 512, 3), 120, np.uint8) for _ in range(count))


def world(*solids):
    return World(Room(5.0, 3.0, 2.5), solids, grey(3), grey(len(solids)), 0)


def test_a_wall_ahead_has_one_depth_and_the_floor_that_of_the_camera_height():
    _, depth = render(world(), HERE, RobotMount(0.5), CAMERA)
    np.testing.assert_allclose(depth[40:70, 60:100], 5.0, rtol=1e-5)
    for row in (100, 119):
        np.testing.assert_allclose(depth[row, 70:90], 130.0 * 0.5 / (row - 59.5), rtol=1e-4)


@pytest.mark.parametrize(
    ('solid', 'depth_m'),
    [
        (Box((3.0, 0.0, 0.5), (0.4, 0.4, 0.5)), 2.6),
        (Box((3.0, 0.0, 0.5), (0.4, 0.4, 0.5), yaw_rad=np.pi / 2), 2.6),
        (Cylinder((3.0, 0.0), 0.4, 1.0), 2.6),
    ],
)
def test_a_solid_is_at_its_position(solid, depth_m):
    _, depth = render(world(solid), HERE, RobotMount(0.5), CAMERA)
    np.testing.assert_allclose(depth[59:61, 79:81], depth_m, rtol=2e-3)
    beside, _ = render(world(solid), PlanarPose(0.0, 0.0, np.pi), RobotMount(0.5), CAMERA)  # behind the camera
    nothing, _ = render(world(), PlanarPose(0.0, 0.0, np.pi), RobotMount(0.5), CAMERA)
    np.testing.assert_array_equal(beside, nothing)


def test_a_ramp_rises_along_its_x():
    ramp = Box((3.0, 0.0, 0.3), (0.8, 0.5, 0.3), slope=0.5)
    _, depth = render(world(ramp), HERE, RobotMount(1.5), CAMERA)
    rows = np.arange(60, 115)
    z = depth[rows, 80]
    height = 1.5 - (rows - CAMERA.cy) / CAMERA.fy * z
    on_top = (height > 0.25) & (z > 2.25) & (z < 3.7)
    assert on_top.sum() > 5
    np.testing.assert_allclose(height[on_top], 0.6 + 0.5 * (z[on_top] - 3.0), atol=0.02)


def test_the_top_of_a_cylinder_is_visible_from_above():
    _, depth = render(world(Cylinder((2.0, 0.0), 0.5, 0.4)), HERE, RobotMount(1.2), CAMERA)
    row = round(CAMERA.cy + CAMERA.fy * (1.2 - 0.4) / 2.0)  # the centre of the top
    np.testing.assert_allclose(depth[row, 80], 2.0, atol=0.03)


def test_the_same_seed_gives_the_same_images_and_another_one_others():
    first, second, other = (make_world(seed) for seed in (3, 3, 4))
    image, depth = render(first, first.pose_at(2.0), RobotMount(), CAMERA)
    again, depth_again = render(second, second.pose_at(2.0), RobotMount(), CAMERA)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(depth, depth_again)
    assert np.abs(render(other, other.pose_at(2.0), RobotMount(), CAMERA)[0].astype(int) - image).mean() > 5


@pytest.mark.parametrize('seed', range(6))
def test_every_pixel_has_a_depth_and_solids_are_drawn_in_their_window_as_in_the_whole_image(seed, monkeypatch):
    made = make_world(seed)
    for time_s in (0.0, 7.0, 19.0):
        image, depth = render(made, made.pose_at(time_s), RobotMount(), CAMERA)
        assert np.isfinite(depth).all() and depth.min() > 0
        assert image.std() > 3
        with monkeypatch.context() as patch:
            patch.setattr('depth_ros.sim.render._window', lambda *_: (slice(0, 120), slice(0, 160)))
            whole, whole_depth = render(made, made.pose_at(time_s), RobotMount(), CAMERA)
        np.testing.assert_array_equal(depth, whole_depth)
        np.testing.assert_array_equal(image, whole)


def test_a_scan_and_the_image_agree():
    made = make_world(2)
    pose = made.pose_at(3.0)
    ranges = scan(made, pose, height_m=0.5)
    _, depth = render(made, pose, RobotMount(0.5), CAMERA)
    row = depth[59:61].mean(axis=0)  # the horizon: rays at the scanner's height
    for degrees in (-15, -5, 5, 15):
        column = round(CAMERA.cx - CAMERA.fx * np.tan(np.radians(degrees)))
        ahead_m = row[column] / np.cos(np.radians(degrees))
        neighbours = ranges[[(degrees + i) % 360 for i in (-1, 0, 1)]]
        assert neighbours.min() * 0.97 <= ahead_m <= neighbours.max() * 1.03


def test_a_stereo_pair_gives_the_matcher_the_exact_depth():
    made = make_world(5)
    camera, baseline = Camera(320, 240, 260.0, 260.0, 159.5, 119.5), 0.1
    pose = made.pose_at(4.0)
    left, truth = render(made, pose, RobotMount(left_m=baseline / 2), camera)
    right, _ = render(made, pose, RobotMount(left_m=-baseline / 2), camera)
    settings = StereoSettings(quality='strict')
    frame = StereoFrame(left, right, StereoRig(camera, camera.cx, baseline))
    depth = depth_map(frame, stereo_estimator(settings), settings).depth_m
    known = np.isfinite(depth)
    assert known.mean() > 0.5
    assert np.median(np.abs(depth / truth - 1)[known]) < 0.02
