"""The scale of a relative network from the motion of a simulated camera, with plane sweep."""

from itertools import pairwise

import numpy as np
import pytest

from depth_ros.estimators.fake_estimator import FakeMultiviewEstimator
from depth_ros.multiview.pose_track import TrackedPose
from depth_ros.multiview_pipeline import multiview_estimator
from depth_ros.scale.motion_reference import MotionReference
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings
from depth_ros.sim.render import RobotMount, _camera_pose, render
from depth_ros.sim.world import make_world
from depth_ros.types import Camera, DepthEstimate, Frame

CAMERA = Camera(240, 180, 192.0, 188.0, 119.5, 89.5)
SMALL = Camera(64, 48, 60.0, 58.0, 31.5, 23.5)
S, T = 2.0, 0.05
STEP_NS = 100_000_000


def drive(seed, count):
    """Yield image, depth and pose of a simulated robot, five times per second."""
    world, mount = make_world(seed), RobotMount(0.5)
    for i in range(count):
        planar = world.pose_at(i / 5)
        pose = np.eye(4)
        pose[:3, 3], pose[:3, :3] = _camera_pose(planar, mount)
        yield *render(world, planar, mount, CAMERA), pose


@pytest.mark.slow
def test_scale_and_shift_are_found_within_2_percent_with_noisy_poses():
    rng, views = np.random.default_rng(0), list(drive(501, 10))
    noisy = [views[0][2]]
    for (_, _, before), (_, _, after) in pairwise(views):
        step = np.linalg.inv(before) @ after
        step[:3, 3] *= 1 + rng.normal(0, 0.03)
        noisy.append(noisy[-1] @ step)
    settings = MonoSettings(scale_source='motion')
    scaler = Scaler()
    sweep = multiview_estimator(MultiviewSettings())
    scaler.motion = MotionReference(lambda stamp, frame: TrackedPose(noisy[stamp // (2 * STEP_NS)], 0), sweep)
    for i, (image, depth, _) in enumerate(views):
        values = ((1 / depth - T) / S).astype(np.float32)
        estimate = DepthEstimate(values, 'relative_inverse_depth', None, ('scale_shift',))
        status = scaler.update(estimate, Frame(image, CAMERA, 2 * i * STEP_NS, 'camera'), settings)
    assert status.state in ('tracking', 'held')
    found = status.scale.depth_m(values)
    assert np.median(np.abs(found / depth - 1)) < 0.02


def frame(i):
    return Frame(np.zeros((48, 64), np.uint8), SMALL, i * STEP_NS, 'camera')


def test_images_wait_for_their_pose_and_points_are_those_of_the_image_that_was_measured():
    poses = {}
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, :20] = np.nan
    reference = MotionReference(lambda stamp, name: poses.get(stamp, 'not yet'), FakeMultiviewEstimator(depth, None))
    found = []
    for i in range(12):
        found.append(reference.add(frame(i)))
        pose = np.eye(4)
        pose[0, 3] = 0.06 * i
        poses[i * STEP_NS] = TrackedPose(pose, 0)  # later than the image
    assert found[0] is None and found[1] is None
    points = [each for each in found if each is not None]
    assert 1 <= len(points) <= 3  # at most 2.5 estimates per second
    index = found.index(points[0])
    assert points[0].stamp_ns == (index - 1) * STEP_NS and (points[0].points_m[:, 2] == 2).all()
    columns = points[0].points_m[:, 0] / 2 * SMALL.fx + SMALL.cx
    assert columns.min() >= 20 and columns.max() <= 63 and reference.why in ('', 'not yet')


def test_why_there_are_no_points_is_stated():
    reference = MotionReference(lambda stamp, name: TrackedPose(np.eye(4), 0), FakeMultiviewEstimator())
    assert reference.add(frame(0)) is None and reference.why.startswith('no overlap')
    assert reference.add(frame(10)) is None and reference.why.startswith('too little motion')
    unknown = MotionReference(lambda stamp, name: 'the newest pose is old', FakeMultiviewEstimator())
    assert unknown.add(frame(0)) is None and unknown.why == 'the newest pose is old'
