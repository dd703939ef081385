"""Points of another sensor in the image: position, border, occlusion; poses; states of the tracker."""

import numpy as np
import pytest

from depth_ros.geometry import parse_pose
from depth_ros.scale.reference_points import known_pixels
from depth_ros.scale.scale_fit import Scale, ScaleFit
from depth_ros.scale.scale_tracker import ScaleTracker
from depth_ros.types import Camera

CAMERA = Camera(320, 240, 256.0, 256.0, 159.5, 119.5)
HERE = np.eye(4, dtype=np.float32)
ABOVE = np.eye(4, dtype=np.float32)
ABOVE[1, 3] = -0.3


def at(column, row, depth):
    return [(column - CAMERA.cx) / CAMERA.fx * depth, (row - CAMERA.cy) / CAMERA.fy * depth, depth]


def test_a_point_falls_on_its_pixel_and_the_border_belongs_to_the_image():
    points = np.array(
        [at(0, 0, 2), at(319, 239, 2), at(100.4, 50.3, 3), at(-0.6, 10, 2), at(10, 239.6, 2), at(320, 5, 2)]
    )
    found = known_pixels(points.astype(np.float32), CAMERA, HERE)
    assert list(zip(found.columns, found.rows, strict=True)) == [(0, 0), (319, 239), (100, 50)]
    np.testing.assert_allclose(found.depth_m, [2, 2, 3], rtol=1e-6)


def test_what_is_behind_the_camera_or_not_finite_is_left_out():
    points = np.array([[0, 0, -2], [0, 0, 0], [np.nan, 0, 2], [0, np.inf, 2], [0, 0, 2]], np.float32)
    assert known_pixels(points, CAMERA, HERE).depth_m.tolist() == [2.0]
    assert known_pixels(np.empty((0, 3), np.float32), CAMERA, HERE).depth_m.size == 0


def test_points_hidden_by_a_nearer_one_beside_them_are_ignored():
    """A lidar above the camera measures the wall behind a box, which projects into the pixels of the box."""
    box = [at(u, v, 1.5) for u in range(100, 160, 4) for v in range(100, 140, 4)]
    wall = [at(u + 1, v + 1, 4.0) for u in range(40, 240, 4) for v in range(60, 180, 4)]
    found = known_pixels(np.array(box + wall, np.float32) - ABOVE[:3, 3], CAMERA, ABOVE)
    over_box = (found.columns >= 100) & (found.columns < 157) & (found.rows >= 100) & (found.rows < 137)
    assert over_box.sum() == len(box) and (found.depth_m[over_box] == 1.5).all()
    assert (found.depth_m == 4.0).sum() > 0.7 * (len(wall) - len(box))


def test_the_points_of_a_sensor_in_the_place_of_the_camera_hide_nothing():
    depth = np.where(np.arange(320) < 160, 1.0, 5.0) * np.ones((240, 1))
    points = np.array([at(u, v, depth[v, u]) for v in range(0, 240, 4) for u in range(0, 320, 4)], np.float32)
    assert known_pixels(points, CAMERA, HERE).depth_m.size == len(points)
    for moved in range(0, 8, 2):  # a scan line across the border between both
        line = np.array([at(u + moved / 8, 120, depth[120, u]) for u in range(0, 312, 3)], np.float32)
        assert known_pixels(line, CAMERA, HERE).depth_m.size == len(line)


def test_a_floor_seen_from_above_the_camera_is_not_hidden_by_its_nearer_part():
    rows, columns = (values.ravel() for values in np.mgrid[125:240:3, 0:320:3])
    depth = 0.5 / ((rows - CAMERA.cy) / CAMERA.fy)
    points = np.array([at(*each) for each in zip(columns, rows, depth, strict=True)], np.float32)
    above = ABOVE.copy()
    above[1, 3] = -0.1
    assert known_pixels(points - above[:3, 3], CAMERA, above).depth_m.size > 0.98 * len(points)


def test_zeros_for_missing_measurements_are_not_points_at_the_sensor():
    ahead = HERE.copy()
    ahead[2, 3] = 0.5
    points = np.array([[0, 0, 0], [0, 0, 2]], np.float32)
    assert known_pixels(points, CAMERA, ahead).depth_m.tolist() == [2.5]


def test_a_pose_is_six_numbers():
    x_forward = parse_pose('0.1 0 0 1.5707963 -1.5707963 0')
    np.testing.assert_allclose(x_forward @ [1, 0, 0, 1], [0.1, 0, 1, 1], atol=1e-6)  # ahead
    np.testing.assert_allclose(x_forward @ [0, 1, 0, 1], [-0.9, 0, 0, 1], atol=1e-6)  # left
    np.testing.assert_allclose(x_forward @ [0, 0, 1, 1], [0.1, -1, 0, 1], atol=1e-6)  # up
    for text in ('', '1 2 3', '1 2 3 4 5 x', '1 2 3 4 5 nan', '1 2 3 4 5 6 7'):
        with pytest.raises(ValueError, match='expected six numbers'):
            parse_pose(text)


PROBES = np.linspace(0.2, 1.0, 20, dtype=np.float32)
SECOND = 1_000_000_000


def fit(scale):
    return ScaleFit(Scale('factor', scale), 0.01, 0.9, np.ones(10, bool))


def test_states_follow_from_what_is_confirmed_and_when():
    tracker = ScaleTracker('factor')

    def see(scale, time_s, why='nothing new'):
        return tracker.update(fit(scale) if scale else None, why, PROBES, int(time_s * SECOND), 2.0)

    assert see(2.0, 0.0).state == 'unknown'
    assert see(2.02, 0.1).state == 'tracking'
    assert see(None, 0.3).state == 'tracking'
    held = see(None, 1.0)
    assert held.state == 'held' and held.age_s == pytest.approx(0.9) and held.why == 'nothing new'
    gone = see(None, 2.2)
    assert gone.state == 'unknown' and gone.scale is None
    assert see(5.0, 2.3).state == 'unknown' and see(5.0, 2.4).state == 'tracking'


def test_one_outlier_is_ignored_and_three_that_agree_are_a_step():
    tracker = ScaleTracker('factor')
    for frame, scale in enumerate((2.0, 2.0, 9.0, 2.0, 3.0, 9.0, 3.0, 3.0)):
        status = tracker.update(fit(scale), '', PROBES, frame * SECOND // 10, 2.0)
        if frame >= 1:
            assert status.scale.scale == pytest.approx(2.0)
    assert tracker.update(fit(3.0), '', PROBES, 8 * SECOND // 10, 2.0).scale.scale == pytest.approx(3.0)


def test_time_that_jumps_back_discards_the_scale():
    tracker = ScaleTracker('factor')
    for frame in range(3):
        tracker.update(fit(2.0), '', PROBES, (10 + frame) * SECOND, 20.0)
    assert tracker.update(None, '', PROBES, 5 * SECOND, 20.0).state == 'unknown'
