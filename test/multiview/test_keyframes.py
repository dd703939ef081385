"""Keyframes: when a view becomes one, which of them are sources, and what the motion allows."""

import numpy as np
import pytest

from depth_ros.geometry import parse_pose
from depth_ros.multiview.keyframes import KeyframeBuffer, MotionState, select_sources
from depth_ros.multiview.view_geometry import parallax, pose_distance
from depth_ros.types import Camera, View

CAMERA = Camera(320, 240, 280.0, 270.0, 159.5, 119.5)
IMAGE = np.zeros((240, 320), np.uint8)


def view(x=0.0, y=0.0, z=0.0, yaw=0.0, stamp_s=0.0, depth_m=None):
    """Return a view of the optical frame at x (right), y (down), z (ahead), turned to the right by yaw."""
    pose = parse_pose(f'{x} {y} {z} 0 {yaw} 0').astype(np.float64)
    depth = None if depth_m is None else np.full((240, 320), depth_m, np.float32)
    return View(IMAGE, CAMERA, pose, round(stamp_s * 1e9), depth_m=depth)


def filled(views, **options):
    buffer = KeyframeBuffer(**options)
    for each in views:
        buffer.add(each)
    return buffer


def test_pose_distance_joins_metres_and_rotation_as_published():
    assert pose_distance(view().pose, view(x=0.3, z=0.4).pose) == pytest.approx(0.5)
    turned = pose_distance(view().pose, view(yaw=0.2).pose)
    assert turned == pytest.approx(np.sqrt(4 / 3 * (1 - np.cos(0.2))))
    assert pose_distance(view(yaw=0.2).pose, view(x=0.3).pose) == pytest.approx(np.hypot(turned, 0.3))


def test_parallax_of_sideways_motion_is_focal_length_times_baseline_over_depth():
    sideways = parallax(view(), view(x=0.1), 2.0)
    assert sideways.mean_px == pytest.approx(280 * 0.1 / 2.0)
    assert parallax(view(), view(yaw=0.2), 2.0).mean_px == pytest.approx(0, abs=1e-4)
    assert parallax(view(), view(yaw=np.pi), 2.0).overlap == 0
    assert 0 < parallax(view(), view(z=0.1), 2.0).mean_px < sideways.mean_px


def test_a_view_becomes_a_keyframe_when_the_camera_has_moved_far_enough():
    buffer = KeyframeBuffer()
    added = [buffer.add(view(z=z)) for z in (0.0, 0.06, 0.09, 0.12, 0.2, 0.23)]
    assert added == [True, False, False, True, False, True]
    assert len(buffer) == 3


def test_the_oldest_keyframe_leaves_a_full_buffer():
    buffer = filled([view(z=0.2 * i) for i in range(5)], capacity=3)
    assert [round(each.pose[2, 3], 3) for each in buffer.keyframes] == [0.4, 0.6, 0.8]


def test_turning_to_and_fro_does_not_push_out_the_keyframes_of_the_way():
    buffer = filled([view(z=0.2 * i) for i in range(5)])
    for i in range(40):
        buffer.add(view(z=0.8, yaw=0.2 * (i % 2)))
    assert [round(each.pose[2, 3], 3) for each in buffer.keyframes][:4] == [0.0, 0.2, 0.4, 0.6]


def test_the_source_nearest_to_the_ideal_baseline_comes_first():
    buffer = filled([view(x=x) for x in (0.0, 0.2, 0.4, 0.6, 0.8)])
    chosen = buffer.sources(view(x=1.0), 3)
    assert [round(each.pose[0, 3], 3) for each in chosen] == [0.8, 0.6, 0.4]
    assert buffer.motion(view(x=1.0)) is MotionState.MOVING


def test_a_large_scene_takes_a_longer_baseline():
    near, far = ([view(x=0.2 * i, depth_m=depth) for i in range(6)] for depth in (2.0, 9.0))
    assert round(select_sources(view(x=1.2), near, 1)[0].pose[0, 3], 3) == 1.0
    assert round(select_sources(view(x=1.2), far, 1)[0].pose[0, 3], 3) < 0.8


def test_forward_motion_is_motion():
    buffer = filled([view(z=0.15 * i) for i in range(6)])
    assert buffer.motion(view(z=0.9)) is MotionState.MOVING
    assert buffer.sources(view(z=0.9), 3)


@pytest.mark.parametrize(
    ('views', 'reference', 'state'),
    [
        ([], view(), MotionState.NO_OVERLAP),  # nothing was seen yet
        ([view()], view(x=0.004), MotionState.TOO_LITTLE_MOTION),  # standing
        ([view(yaw=0.15 * i) for i in range(4)], view(yaw=0.6), MotionState.ROTATING),  # turning on the spot
        ([view(), view(x=0.2)], view(x=0.2, yaw=2.5), MotionState.NO_OVERLAP),  # looking the other way
        ([view(depth_m=200.0)], view(x=0.2), MotionState.TOO_LITTLE_MOTION),  # the scene is too far away
    ],
)
def test_without_parallax_there_are_no_sources_and_the_state_says_why(views, reference, state):
    buffer = filled(views)
    assert buffer.motion(reference) is state
    assert buffer.sources(reference, 3) == []


def test_keyframes_that_are_too_old_are_not_sources():
    buffer = filled([view(z=0.2 * i, stamp_s=i) for i in range(4)], max_age_s=2.0)
    assert len(buffer.sources(view(z=0.8, stamp_s=3.5), 9)) == 2
    assert buffer.sources(view(z=0.8, stamp_s=60.0), 9) == []
    assert buffer.motion(view(z=0.8, stamp_s=60.0)) is MotionState.NO_OVERLAP


def test_a_cleared_buffer_starts_again():
    buffer = filled([view(), view(x=0.2)])
    buffer.clear()
    assert len(buffer) == 0
    assert buffer.add(view(x=0.2))
