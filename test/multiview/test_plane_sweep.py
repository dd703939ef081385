"""Plane sweep on exact views of textured planes."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from posed_planes import CAMERA, Rectangle, view_of

from depth_ros.errors import EstimatorError
from depth_ros.multiview.plane_sweep import PlaneSweep
from depth_ros.multiview.pose_refinement import refined_motion
from depth_ros.multiview.view_geometry import rotation_rad, source_from_reference
from depth_ros.types import Camera

WALL = (Rectangle(2.0),)
WALL_AND_BOX = (Rectangle(3.0), Rectangle(1.5, x=(-0.2, 0.5), y=(-0.3, 0.4), seed=1))


def estimated(reference, sources, **options):
    return PlaneSweep(**options).estimate(reference[0], [view for view, _ in sources])


def errors(estimate, truth):
    """Return the relative errors of the known pixels, and their share."""
    known = np.isfinite(estimate.values)
    return np.abs(estimate.values[known] / truth[known] - 1), known.mean()


@pytest.mark.parametrize(
    ('scene', 'motions'),
    [
        (WALL, [{'x': -0.1}, {'x': -0.2}, {'x': -0.3}]),  # sideways
        (WALL, [{'z': -0.2}, {'z': -0.4}, {'z': -0.6}]),  # forward
        (WALL, [{'x': -0.1, 'yaw': 0.06, 'roll': 0.04}, {'x': -0.1, 'y': 0.15, 'pitch': 0.05}]),  # turned
        ((Rectangle(2.0, slope=0.6),), [{'x': -0.1, 'z': -0.1}, {'x': -0.2, 'z': -0.2}]),  # a wall seen at an angle
        (WALL_AND_BOX, [{'x': -0.1}, {'x': -0.2}, {'y': -0.1}]),
    ],
    ids=['sideways', 'forward', 'turned', 'slanted', 'two planes'],
)
def test_depth_of_textured_planes_is_exact_in_metres(scene, motions):
    reference = view_of(scene)
    estimate = estimated(reference, [view_of(scene, **motion) for motion in motions])
    error, known = errors(estimate, reference[1])
    assert estimate.space == 'metric_depth'
    assert known > 0.75
    assert np.median(error) < 0.02
    assert np.mean(error > 0.1) < 0.04


def test_sources_may_have_another_size_and_other_intrinsics():
    reference = view_of(WALL)
    other = Camera(200, 100, 120.0, 130.0, 101.0, 47.0)
    error, known = errors(estimated(reference, [view_of(WALL, x=-0.15, camera=other)]), reference[1])
    assert known > 0.6
    assert np.median(error) < 0.02


def test_large_images_are_reduced_and_the_depth_has_the_size_of_the_image():
    large = Camera(640, 480, 600.0, 560.0, 314.0, 246.0)
    reference = view_of(WALL_AND_BOX, camera=large)
    estimate = estimated(reference, [view_of(WALL_AND_BOX, x=x, camera=large) for x in (-0.1, -0.2)])
    error, known = errors(estimate, reference[1])
    assert estimate.values.shape == estimate.confidence.shape == (480, 640)
    assert known > 0.75
    assert np.median(error) < 0.01


def test_turning_on_the_spot_gives_no_metres():
    reference = view_of(WALL_AND_BOX)
    estimate = estimated(reference, [view_of(WALL_AND_BOX, yaw=yaw) for yaw in (0.1, -0.1)])
    assert not np.isfinite(estimate.values).any()
    assert not estimate.confidence.any()


def test_an_object_that_moves_on_its_own_is_unknown():
    def scene(y):
        return (Rectangle(3.0), Rectangle(1.5, x=(-0.3, 0.3), y=(y - 0.25, y + 0.25), seed=1))

    reference = view_of(scene(0.0))
    estimate = estimated(reference, [view_of(scene(0.06 * i), x=-0.1 * i) for i in (1, 2, 3)])
    inside = cv2.erode((reference[1] < 2).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.isfinite(estimate.values[inside]).mean() < 0.2
    wall = cv2.erode((reference[1] > 2).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert np.isfinite(estimate.values[wall]).mean() > 0.6


def test_confidence_is_zero_exactly_where_the_depth_is_unknown():
    estimate = estimated(view_of(WALL_AND_BOX), [view_of(WALL_AND_BOX, x=-0.2)])
    assert np.array_equal(estimate.confidence > 0, np.isfinite(estimate.values))
    assert estimate.confidence.max() <= 1


def test_depth_that_contradicts_an_earlier_keyframe_has_less_confidence():
    reference, (source, depth) = view_of(WALL), view_of(WALL, x=-0.2)
    means = [
        PlaneSweep().estimate(reference[0], [replace(source, depth_m=earlier)]).confidence.mean()
        for earlier in (2 * depth, None, depth)
    ]
    assert means == sorted(means)
    assert means[0] < means[1] < means[2]


def test_a_wrong_rotation_is_corrected_and_a_right_one_is_kept():
    reference, source = view_of(WALL_AND_BOX)[0], view_of(WALL_AND_BOX, x=-0.2, y=0.05)[0]
    exact = source_from_reference(reference, source)
    wrong = exact.copy()
    wrong[:3, :3] = cv2.Rodrigues(np.deg2rad([0.3, -0.2, 0.3]))[0] @ exact[:3, :3]
    found = refined_motion(reference.image, source.image, CAMERA, CAMERA, wrong, 2.5)
    assert rotation_rad(found, exact) < 0.5 * rotation_rad(wrong, exact)
    assert np.array_equal(refined_motion(reference.image, source.image, CAMERA, CAMERA, exact, 2.5), exact)


def test_an_image_without_texture_keeps_its_pose_and_gives_no_metres():
    reference, source = (replace(view_of(WALL, x=x)[0], image=np.full((120, 160), 90, np.uint8)) for x in (0.0, 0.2))
    assert not np.isfinite(PlaneSweep().estimate(reference, [source]).values).any()


def test_missing_sources_and_poses_that_are_not_finite_are_errors():
    reference = view_of(WALL)[0]
    with pytest.raises(EstimatorError, match='requires at least one source'):
        PlaneSweep().estimate(reference, [])
    with pytest.raises(EstimatorError, match='NaN or Inf'):
        PlaneSweep().estimate(reference, [replace(reference, pose=np.full((4, 4), np.nan))])
