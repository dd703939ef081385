import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.stages.depth_encoding import to_millimetres
from depth_ros.stages.metric import depth_from_disparity, rectified_disparity
from depth_ros.types import Camera, Disparity, RawDisparity, StereoRig

NAN, INF = np.nan, np.inf


def depth_of(values, range_min_m=0.5, range_max_m=20.0):
    disparity = Disparity(np.array([values], np.float32), 100.0, 0.1, 0.0, 64.0)
    return depth_from_disparity(disparity, range_min_m, range_max_m)[0]


@pytest.mark.parametrize(
    ('disparity_px', 'depth_m'),
    [
        (NAN, NAN),  # unknown stays unknown
        (5.0, 2.0),
        (20.0, 0.5),  # exactly at the near end
        (21.0, -INF),  # too close
        (0.4, INF),  # 25 m: beyond range, not clipped to it
        (0.0, INF),  # infinitely far, never a division by zero
        (-0.5, INF),  # noise of something infinitely far
        (-2.0, NAN),  # impossible
    ],
)
def test_f15_every_disparity_follows_rep_117(disparity_px, depth_m):
    np.testing.assert_array_equal(depth_of([disparity_px]), np.float32([depth_m]))


@given(st.floats(0.6, 19.0))
def test_depth_is_focal_length_times_baseline_over_disparity(depth_m):
    np.testing.assert_allclose(depth_of([100.0 * 0.1 / depth_m]), depth_m, rtol=1e-5)


def test_the_difference_of_the_principal_points_is_subtracted_from_the_disparity():
    rig = StereoRig(Camera(4, 1, 100.0, 100.0, 300.0, 0.0), right_cx=331.0, baseline_m=0.1)
    raw = RawDisparity(np.float32([[-31.0, -30.0, 9.0, NAN]]), None, min_px=-32.0, max_px=80.0)
    adjusted = rectified_disparity(raw, rig)
    np.testing.assert_array_equal(adjusted.disparity_px, np.float32([[0.0, 1.0, 40.0, NAN]]))
    assert (adjusted.min_px, adjusted.max_px) == (0.0, 111.0)


@pytest.mark.parametrize(
    ('depth_m', 'millimetres'),
    [
        (NAN, 0), (INF, 0), (-INF, 0), (-1.0, 0), (0.0, 0),
        (0.0004, 0), (0.0006, 1), (1.2344, 1234), (1.2346, 1235),  # rounded to the nearest
        (65.535, 65535), (65.536, 0), (70.0, 0), (1e30, 0),  # values that do not fit are unknown and never wrap
    ],
)  # fmt: skip
def test_g3_millimetres_round_and_never_wrap(depth_m, millimetres):
    assert to_millimetres(np.array([[depth_m]], np.float32))[0, 0] == millimetres
