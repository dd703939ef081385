"""Figures of accuracy against cases worked by hand."""

import numpy as np
import pytest

from depth_ros.evaluation.mono import mono_accuracy
from depth_ros.evaluation.stereo import stereo_accuracy

N, INF = np.nan, np.inf


def test_mono_figures():
    truth = np.float32([[1.0, 2.0, 4.0, N, 5.0]])
    depth = np.float32([[1.1, 1.0, 5.0, 3.0, INF]])
    figures = mono_accuracy(depth, truth)
    assert figures.valid_fraction == pytest.approx(3 / 4)  # the unknown truth does not count, infinity is no depth
    assert figures.abs_rel == pytest.approx((0.1 + 0.5 + 0.25) / 3)
    assert figures.delta1 == pytest.approx(1 / 3)  # 1.1; 2 is out, and exactly 1.25 is not within


def test_nothing_known_is_as_bad_as_can_be():
    figures = mono_accuracy(np.full((2, 2), N, np.float32), np.ones((2, 2), np.float32))
    assert (figures.valid_fraction, figures.abs_rel, figures.delta1) == (0.0, INF, 0.0)


def test_stereo_figures():
    truth_px = np.float32([[10.0, 20.0, 40.0, N]])
    depth_m = 100.0 * 0.1 / np.float32([[11.0, 23.0, N, 10.0]])  # 1 px off, 3 px off, unknown, without truth
    figures = stereo_accuracy(depth_m, truth_px, focal_px=100.0, baseline_m=0.1, offset_px=0.0)
    assert figures.valid_fraction == pytest.approx(2 / 3)
    assert figures.bad2_fraction == pytest.approx(1 / 2)
    assert figures.median_abs_rel == pytest.approx(np.median([1 - 10 / 11, 1 - 20 / 23]), rel=1e-5)


def test_an_offset_of_the_principal_points_is_in_the_truth_not_in_the_depth():
    truth_px = np.float32([[9.0]])  # raw: 31 px less than what depth comes from
    depth_m = np.float32([[100.0 * 0.1 / 40.0]])
    assert stereo_accuracy(depth_m, truth_px, 100.0, 0.1, offset_px=-31.0).median_abs_rel < 1e-6
