import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from depth_ros.stereo.occlusion import fill_occlusions
from depth_ros.stereo.opencv_matcher import UNKNOWN

N = np.nan


def filled_with_mask(disparity_px):
    """Return the filled disparity in pixels, NaN = unknown, and the mask of the filled pixels."""
    sixteenths = np.where(np.isfinite(disparity_px), np.nan_to_num(disparity_px) * 16, UNKNOWN).astype(np.int16)
    mask = fill_occlusions(sixteenths)
    return np.where(sixteenths == UNKNOWN, np.nan, sixteenths / 16).astype(np.float32), mask


@pytest.mark.parametrize(
    ('row', 'expected'),
    [
        ([N, N, N], [N, N, N]),  # nothing known
        ([5, 5, 5], [5, 5, 5]),
        ([5, *[N] * 8, 10], [5, *[5] * 8, 10]),  # 8 wide at a step of 5: an occlusion and the tolerance
        ([5, *[N] * 9, 10], [5, *[N] * 9, 10]),  # too wide for that step
        ([10, N, N, N, N, 5], [10, N, N, N, N, 5]),  # a step down occludes nothing in the left image
        ([10, N, N, 5], [10, 5, 5, 5]),  # a narrow gap is filled from the farther side
        ([N, N, 5, 5], [N, N, 5, 5]),  # gaps at the border stay unknown
        ([5, 5, N, N], [5, 5, N, N]),
    ],
)
def test_a_gap_is_filled_only_where_the_geometry_explains_it(row, expected):
    filled, mask = filled_with_mask(np.array([row], np.float32))
    np.testing.assert_array_equal(filled, np.array([expected], np.float32))
    np.testing.assert_array_equal(mask[0], np.isnan(row) & ~np.isnan(expected))


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 40)),
        elements=st.one_of(st.just(N), st.floats(0, 60, width=32)),
    )
)
def test_what_was_known_stays_and_what_is_filled_is_no_nearer_than_its_neighbours(disparity):
    disparity = np.round(disparity * 16) / 16
    filled, mask = filled_with_mask(disparity)
    known = np.isfinite(disparity)
    np.testing.assert_array_equal(filled[known], disparity[known])
    assert not (mask & known).any()
    for row, column in zip(*np.nonzero(mask), strict=True):
        left = disparity[row, :column][known[row, :column]][-1]
        right = disparity[row, column:][known[row, column:]][0]
        assert filled[row, column] == min(left, right)


def test_neighbouring_rows_decide_by_majority():
    wide, narrow = [5.0, *[N] * 9, 10.0], [5.0, *[N] * 8, 10.0, 10.0]
    mostly_explained, _ = filled_with_mask(np.array([narrow] * 5 + [wide] + [narrow] * 5, np.float32))
    assert np.isfinite(mostly_explained[5]).sum() >= 10
    mostly_not, _ = filled_with_mask(np.array([wide] * 5 + [narrow] + [wide] * 5, np.float32))
    assert np.isnan(mostly_not[5, 1:9]).all()
