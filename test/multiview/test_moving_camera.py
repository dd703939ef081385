"""What a moving camera keeps between its frames: keyframes, held depth, and when it starts anew."""

from dataclasses import replace

import numpy as np
import pytest

from depth_ros.estimators.fake_estimator import FakeMultiviewEstimator
from depth_ros.geometry import parse_pose
from depth_ros.multiview.keyframes import MotionState
from depth_ros.multiview.moving_camera import MovingCamera
from depth_ros.types import Camera, View

CAMERA = Camera(80, 60, 70.0, 66.0, 39.5, 29.5)
IMAGE = np.zeros((60, 80), np.uint8)


def view(x=0.0, yaw=0.0, stamp_s=0.0):
    return View(IMAGE, CAMERA, parse_pose(f'{x} 0 0 0 {yaw} 0').astype(np.float64), round(stamp_s * 1e9))


def moved(estimator, steps=4, **options):
    """Return a camera that has moved to the right by 0.1 m per step."""
    camera = MovingCamera(**options)
    for i in range(steps):
        camera.estimate(view(0.1 * i, stamp_s=0.1 * i), 0, estimator)
    return camera


def test_the_first_view_gives_nothing_and_later_ones_are_compared_with_earlier_ones():
    estimator = FakeMultiviewEstimator()
    camera = MovingCamera()
    assert camera.estimate(view(), 0, estimator) is None and camera.state is MotionState.NO_OVERLAP
    assert camera.estimate(view(0.01, stamp_s=0.1), 0, estimator) is None
    assert camera.state is MotionState.TOO_LITTLE_MOTION and not estimator.calls
    assert camera.estimate(view(0.15, stamp_s=0.2), 0, estimator).values[0, 0] == 2.0
    assert camera.state is MotionState.MOVING
    assert [source.stamp_ns for source in estimator.calls[0][1]] == [0]
    assert camera.estimate(view(0.3, stamp_s=0.3), 0, estimator) is not None
    np.testing.assert_allclose(camera.keyframe_poses()[0][:3, 3], [-0.3, 0, 0], atol=1e-6)
    measured = [source for source in estimator.calls[1][1] if source.depth_m is not None]
    assert measured and (measured[0].depth_m == 2.0).all()  # for the check of consistency


@pytest.mark.parametrize(
    'spoil',
    [
        lambda view: (view, 1),  # the pose jumped
        lambda view: (replace(view, camera=replace(CAMERA, fx=90.0)), 0),
        lambda view: (replace(view, image=np.zeros((60, 80, 3), np.uint8)), 0),
        lambda view: (replace(view, stamp_ns=0), 0),
    ],
)
def test_an_interruption_discards_the_keyframes_and_the_held_depth(spoil):
    estimator = FakeMultiviewEstimator()
    camera = moved(estimator)
    assert camera.keyframe_count >= 3
    assert camera.estimate(*spoil(view(0.4, stamp_s=1)), estimator, hold=True) is None
    assert (camera.keyframe_count, camera.restarts, camera.state) == (1, 1, MotionState.NO_OVERLAP)


def test_while_turning_the_depth_measured_last_is_held_with_half_the_confidence():
    estimator = FakeMultiviewEstimator(confidence=0.8)
    camera = moved(estimator, max_age_s=1.0)
    camera.estimate(view(0.35, yaw=0.1, stamp_s=2.0), 0, estimator)  # too old to be compared with
    calls = len(estimator.calls)
    turned = view(0.35, yaw=0.3, stamp_s=2.2)
    assert camera.estimate(turned, 0, estimator) is None and camera.state is MotionState.ROTATING
    held = camera.estimate(replace(turned, stamp_ns=2_300_000_000), 0, estimator, hold=True)
    known = np.isfinite(held.values)
    assert len(estimator.calls) == calls and camera.held and 0.3 < known.mean() < 0.95
    assert np.allclose(held.confidence[known], 0.4) and not held.confidence[~known].any()
    assert held.space == 'metric_depth'


def test_nothing_is_held_where_nothing_was_seen():
    estimator = FakeMultiviewEstimator(confidence=None)
    camera = moved(estimator)
    assert camera.estimate(view(0.3, yaw=3.0, stamp_s=1.0), 0, estimator, hold=True) is None
    assert not camera.held and camera.state is MotionState.NO_OVERLAP


def test_a_camera_that_stands_still_says_so_after_its_keyframes_are_too_old():
    estimator = FakeMultiviewEstimator()
    camera = moved(estimator, max_age_s=1.0)
    states = []
    for i in range(30):
        camera.estimate(view(0.3, stamp_s=0.4 + 0.1 * i), 0, estimator)
        states.append(camera.state)
    assert states[0] is MotionState.MOVING and set(states[-10:]) == {MotionState.TOO_LITTLE_MOTION}
