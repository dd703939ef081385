"""Poses at the stamps of images, and what is done about poses that are wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.geometry import interpolated_pose, precise_pose_matrix
from depth_ros.multiview.pose_track import PoseFault, PoseTrack

STEP_NS = 100_000_000


def turned(yaw):
    return (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))


def driven(count=10, speed=0.5, start_ns=10 * STEP_NS, **options):
    """Return the track of a body that drives along x and turns by 0.1 rad per step."""
    track = PoseTrack(**options)
    for i in range(count):
        assert track.add(start_ns + i * STEP_NS, (i * speed / 10, 1.0, 0.0), turned(0.1 * i)) is None
    return track


def test_a_pose_is_interpolated_at_the_stamp_of_the_image():
    found = driven().at(13 * STEP_NS + STEP_NS // 4)
    expected = precise_pose_matrix((0.05 * 3.25, 1.0, 0.0), turned(0.325))
    np.testing.assert_allclose(found.pose, expected, atol=1e-12)
    assert found.segment == 0


@given(st.floats(0.01, 3.1), st.floats(0, 1), st.booleans())
def test_rotation_is_interpolated_at_constant_speed_along_the_shorter_arc(angle, fraction, negated):
    second = tuple(-each for each in turned(angle)) if negated else turned(angle)
    _, rotation = interpolated_pose(((0.0,) * 3, turned(0.0)), ((0.0,) * 3, second), fraction)
    expected = precise_pose_matrix((0.0,) * 3, turned(angle * fraction))
    np.testing.assert_allclose(precise_pose_matrix((0.0,) * 3, rotation), expected, atol=1e-9)


def test_poses_far_from_the_origin_keep_millimetres():
    track = PoseTrack()
    track.add(0, (500_000.0, 4_000_000.0, 0.0), turned(0.0))
    track.add(STEP_NS, (500_000.002, 4_000_000.0, 0.0), turned(0.0))
    assert track.at(STEP_NS // 2).pose[0, 3] == pytest.approx(500_000.001, abs=1e-9)


def test_there_is_no_extrapolation_and_the_reason_is_stated():
    track = driven()
    assert track.at(19 * STEP_NS + 1_000_000) is not None  # stamps that differ by rounding only
    for stamp, words in (
        (20 * STEP_NS, 'the newest pose is 0.10 s older than the image'),
        (9 * STEP_NS, 'the image is 0.10 s older than the first pose'),
    ):
        assert track.at(stamp) is None and track.missing(stamp) == words
    assert PoseTrack().missing(5) == 'no valid pose was received'


def test_a_gap_is_not_bridged():
    track = driven(max_gap_s=0.15)
    assert track.add(25 * STEP_NS, (0.75, 1.0, 0.0), turned(1.5)) is PoseFault.GAP
    assert track.missing(20 * STEP_NS).startswith('the poses before and after the image are 0.60 s apart')
    assert (track.at(18 * STEP_NS + 1).segment, track.at(25 * STEP_NS).segment) == (0, 1)


@pytest.mark.parametrize(
    ('position', 'rotation'),
    [
        ((math.nan, 0.0, 0.0), turned(0.9)),
        ((0.5, math.inf, 0.0), turned(0.9)),
        ((0.5, 1.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
        ((0.5, 1.0, 0.0), (0.0, 0.0, 0.6, 0.9)),
        ((0.5, 1.0, 0.0), (math.nan, 0.0, 0.0, 1.0)),
    ],
)
def test_an_invalid_pose_is_counted_and_the_next_one_is_used(position, rotation):
    track = driven()
    assert track.add(20 * STEP_NS, position, rotation) is PoseFault.INVALID
    assert track.add(20 * STEP_NS, (0.5, 1.0, 0.0), turned(1.0)) is None
    assert track.at(20 * STEP_NS).segment == 0 and track.faults == {PoseFault.INVALID: 1}


def test_a_quaternion_that_is_almost_of_length_1_is_normalised():
    track = PoseTrack()
    assert track.add(5, (0.0, 0.0, 0.0), tuple(1.005 * each for each in turned(0.3))) is None
    rotation = track.at(5).pose[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_a_message_out_of_order_is_not_used_but_a_jump_back_in_time_starts_anew():
    track = driven()
    assert track.add(18 * STEP_NS + 5, (0.4, 1.0, 0.0), turned(0.8)) is PoseFault.OUT_OF_ORDER
    assert track.add(20 * STEP_NS, (0.5, 1.0, 0.0), turned(1.0)) is None
    assert track.add(2 * STEP_NS, (0.0, 0.0, 0.0), turned(0.0)) is PoseFault.TIME_JUMP
    assert track.at(2 * STEP_NS).segment == 1 and track.at(15 * STEP_NS) is None
    assert track.add(STEP_NS, (0.0, 0.0, 0.0), turned(0.0)) is PoseFault.OUT_OF_ORDER
    assert track.add(STEP_NS + 5, (0.0, 0.0, 0.0), turned(0.0)) is PoseFault.TIME_JUMP


@pytest.mark.parametrize(
    ('position', 'rotation'),
    [((1.0, 1.0, 0.0), turned(1.0)), ((0.5, 1.5, 0.0), turned(1.0)), ((0.5, 1.0, 0.0), turned(3.0))],
)
def test_a_jump_of_the_pose_starts_a_segment_and_is_not_interpolated(position, rotation):
    track = driven()
    assert track.add(20 * STEP_NS, position, rotation) is PoseFault.POSE_JUMP
    assert track.missing(19 * STEP_NS + 5_000_000).endswith('or the pose jumped between them')
    assert (track.at(19 * STEP_NS).segment, track.at(20 * STEP_NS).segment) == (0, 1)
    assert track.add(21 * STEP_NS, position, rotation) is None


@given(st.integers(0, 1000), st.sampled_from([0.02, 0.1, 0.3]), st.floats(0.0, 2.0))
def test_the_noise_of_odometry_and_changes_of_speed_are_no_jumps(seed, period_s, speed):
    rng = np.random.default_rng(seed)
    track, position, velocity = PoseTrack(), np.zeros(3), np.zeros(3)
    for i in range(40):
        velocity += np.clip(np.array([speed * ((i // 10) % 2), 0.0, 0.0]) - velocity, -3 * period_s, 3 * period_s)
        position = position + velocity * period_s
        noisy = position + rng.normal(0, 0.01, 3)
        stamp = int((i * period_s + rng.uniform(0, 0.2 * period_s)) * 1e9)
        assert track.add(stamp, tuple(noisy), turned(0.5 * i * period_s)) is None


def test_changed_frames_start_anew():
    track = PoseTrack()
    track.add(5, (0.0, 0.0, 0.0), turned(0.0), ('odom', 'base_link'))
    assert track.add(6, (0.0, 0.0, 0.0), turned(0.0), ('map', 'base_link')) is PoseFault.FRAME_CHANGED
    assert track.at(6).segment == 1


def test_old_poses_are_discarded():
    track = driven(100, history_s=2.0)
    assert track.at(80 * STEP_NS) is None and track.at(100 * STEP_NS) is not None
