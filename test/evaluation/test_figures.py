"""Accuracy figures compared with values computed by hand."""

import numpy as np
import pytest

from depth_ros.evaluation.depth_metrics import depth_accuracy, mean_accuracy
from depth_ros.evaluation.stereo_metrics import disparity_accuracy, stereo_accuracy

N, INF = np.nan, np.inf


def test_depth_figures():
    truth = np.float32([[1.0, 2.0, 4.0, N, 5.0, 0.0]])
    depth = np.float32([[1.1, 1.0, 5.0, 3.0, INF, 7.0]])
    figures = depth_accuracy(depth, truth)
    assert figures.valid_share == pytest.approx(
        3 / 4
    )  # pixels with unknown truth are ignored; infinite depth is invalid
    assert figures.abs_rel == pytest.approx((0.1 + 0.5 + 0.25) / 3)
    assert figures.sq_rel == pytest.approx((0.01 / 1 + 1 / 2 + 1 / 4) / 3)
    assert figures.rmse_m == pytest.approx(np.sqrt((0.01 + 1 + 1) / 3))
    logs = np.log([1.1, 0.5, 1.25])
    assert figures.rmse_log == pytest.approx(np.sqrt(np.mean(logs**2)))
    assert figures.silog == pytest.approx(100 * np.sqrt(np.mean(logs**2) - np.mean(logs) ** 2))  # KITTI's formula
    assert figures.log10 == pytest.approx(np.mean(np.abs(np.log10([1.1, 0.5, 1.25]))))
    assert figures.delta1 == pytest.approx(1 / 3)  # 1.1; 2 is outside, and exactly 1.25 is not below
    assert (figures.delta2, figures.delta3) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_a_scale_factor_changes_every_figure_except_silog():
    truth = np.float32([[1.0, 2.0, 4.0]])
    figures = depth_accuracy(2 * truth, truth)
    assert figures.silog == pytest.approx(0, abs=1e-5) and figures.abs_rel == pytest.approx(1.0)


def test_a_frame_without_depth_has_no_figures_and_is_ignored_in_the_mean():
    nothing = depth_accuracy(np.full((2, 2), N, np.float32), np.ones((2, 2), np.float32))
    assert nothing.valid_share == 0 and np.isnan(nothing.abs_rel)
    some = depth_accuracy(np.full((2, 2), 1.5, np.float32), np.ones((2, 2), np.float32))
    mean = mean_accuracy([nothing, some])
    assert (mean.valid_share, mean.abs_rel) == (0.5, pytest.approx(0.5))


def test_disparity_figures():
    truth = np.float32([[10.0, 20.0, 40.0, 100.0, 50.0, N]])
    disparity = np.float32([[11.5, 23.5, N, 104.5, 50.5, 7.0]])
    figures = disparity_accuracy(disparity, truth)
    assert figures.epe_px == pytest.approx((1.5 + 3.5 + 4.5 + 0.5) / 4)
    assert (figures.bad1, figures.bad2, figures.bad4) == (
        pytest.approx(3 / 5),
        pytest.approx(2 / 5),
        pytest.approx(1 / 5),
    )
    assert figures.d1_all == pytest.approx(2 / 5)  # 3.5 of 20, and the unknown one; 4.5 of 100 is less than 5 %


def test_stereo_figures():
    truth_px = np.float32([[10.0, 20.0, 40.0, N]])
    depth_m = 100.0 * 0.1 / np.float32([[11.0, 23.0, N, 10.0]])  # 1 px off, 3 px off, unknown, without truth
    figures = stereo_accuracy(depth_m, truth_px, focal_px=100.0, baseline_m=0.1, offset_px=0.0)
    assert figures.valid_fraction == pytest.approx(2 / 3)
    assert figures.bad2_fraction == pytest.approx(1 / 2)
    assert figures.median_abs_rel == pytest.approx(np.median([1 - 10 / 11, 1 - 20 / 23]), rel=1e-5)


def test_the_raw_disparity_includes_the_offset_of_the_principal_points():
    truth_px = np.float32([[9.0]])  # raw: 31 px less than the disparity from which depth is computed
    depth_m = np.float32([[100.0 * 0.1 / 40.0]])
    assert stereo_accuracy(depth_m, truth_px, 100.0, 0.1, offset_px=-31.0).median_abs_rel < 1e-6
