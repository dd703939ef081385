from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import frame, texture

from depth_ros.errors import EstimatorError
from depth_ros.pipeline import depth_map, stereo_estimator, stereo_frame
from depth_ros.settings.node_settings import Quality, StereoSettings
from depth_ros.stereo import semi_global_matching
from depth_ros.stereo.match_confidence import MatchConfidence
from depth_ros.stereo.matching_effort import EFFORTS
from depth_ros.stereo.opencv_matcher import match_right
from depth_ros.stereo.semi_global_matching import SemiGlobalMatching
from depth_ros.types import StereoFrame


def on_rig(motorcycle, right=None):
    """Return the pair as a frame, with another right image if one is given."""
    return stereo_frame(
        motorcycle.left,
        motorcycle.right if right is None else right,
        motorcycle.left_calibration,
        motorcycle.right_calibration,
        StereoSettings(),
    )


def on_motorcycle(motorcycle, **values):
    chosen = StereoSettings(**values)
    pair = stereo_frame(
        motorcycle.left, motorcycle.right, motorcycle.left_calibration, motorcycle.right_calibration, chosen
    )
    return motorcycle.accuracy(depth_map(pair, stereo_estimator(chosen), chosen).depth_m)


@pytest.mark.parametrize('search', [{}, {'range_min_m': 1.0}, {'max_disparity': 64}, {'max_disparity': 128}])
def test_motorcycle_is_dense_and_correct(motorcycle, search):
    accuracy = on_motorcycle(motorcycle, **search)
    assert accuracy.valid_fraction >= 0.90
    assert accuracy.bad2_fraction <= 0.045
    assert accuracy.median_abs_rel <= 0.004


def test_the_vertical_gradient_of_the_right_image_confirms_fewer_wrong_matches(motorcycle, monkeypatch):
    with_gradient = on_motorcycle(motorcycle)
    monkeypatch.setattr(semi_global_matching, 'match_right', lambda *pair, **_: match_right(*pair, gradient=False))
    without = on_motorcycle(motorcycle)
    assert with_gradient.bad2_fraction <= without.bad2_fraction - 0.001
    assert with_gradient.valid_fraction >= without.valid_fraction


def test_motorcycle_in_strict_quality_has_fewer_false_points(motorcycle):
    accuracy = on_motorcycle(motorcycle, quality='strict')
    assert accuracy.valid_fraction >= 0.79
    assert accuracy.bad2_fraction <= 0.024
    assert accuracy.median_abs_rel <= 0.004


def test_motorcycle_in_fast_quality_is_dense(motorcycle):
    accuracy = on_motorcycle(motorcycle, quality='fast')
    assert accuracy.valid_fraction >= 0.90
    assert accuracy.bad2_fraction <= 0.09
    assert accuracy.median_abs_rel <= 0.006


@settings(deadline=None, max_examples=15)
@given(st.floats(2, 50), st.floats(-20, 20))
def test_a_wall_is_measured_to_a_fraction_of_a_pixel(disparity, offset_px):
    wall = frame(np.full((120, 360), disparity + offset_px, np.float32), offset_px=offset_px)
    raw = SemiGlobalMatching(range_min_m=0.5).estimate(wall)
    error = raw.disparity_px - (disparity + offset_px)
    assert np.isfinite(error).mean() > 0.7
    assert np.nanmedian(np.abs(error)) < 0.25


def test_the_left_border_is_measured_as_far_as_the_right_image_sees_it():
    raw = SemiGlobalMatching(max_disparity_px=64).estimate(frame(np.full((120, 240), 10.0, np.float32)))
    assert np.isfinite(raw.disparity_px[:, 14:60]).mean() > 0.95


def test_negative_disparities_are_found_up_to_the_right_border():
    toed_in = frame(np.full((120, 240), -12.0, np.float32), offset_px=-20.0)
    raw = SemiGlobalMatching(range_min_m=1.0).estimate(toed_in)
    assert abs(np.nanmedian(raw.disparity_px) + 12.0) < 0.1
    assert np.isfinite(raw.disparity_px[:, 180:225]).mean() > 0.9


def pole_before_a_wall(pole_px, width_px):
    """Return a frame of a far wall with a near pole whose left edge is at column 200."""
    height, width = 240, 400
    rng = np.random.default_rng(5)
    wall, pole = texture(height, width + 8), rng.integers(0, 256, (height, width_px)).astype(np.uint8)
    pole = cv2.GaussianBlur(pole, (3, 3), 0)
    left, right = wall[:, :width].copy(), wall[:, 8:].copy()  # the wall has 8 px
    left[:, 200 : 200 + width_px] = pole
    right[:, 200 - pole_px : 200 - pole_px + width_px] = pole
    template = frame(np.zeros((height, width), np.float32), focal=400.0)
    return StereoFrame(left, right, template.rig)


@pytest.mark.parametrize(
    ('quality', 'width_px'), [('balanced', 8), ('balanced', 20), ('strict', 10), ('strict', 20), ('fast', 20)]
)
def test_a_thin_near_pole_is_found_in_a_long_search(quality, width_px):
    pair = pole_before_a_wall(pole_px=150, width_px=width_px)
    raw = SemiGlobalMatching(quality, range_min_m=0.2).estimate(pair)  # 200 px: long enough to be shortened
    on_pole = raw.disparity_px[20:-20, 200 : 200 + width_px]
    assert np.mean(np.abs(on_pole - 150) < 1) > 0.4


@pytest.mark.parametrize('quality', get_args(Quality))
@pytest.mark.parametrize('value', [0, 128, 255])
def test_a11_a_pair_without_texture_gives_no_wrong_depth(value, quality):
    blank = frame(np.zeros((120, 240), np.float32))
    blank = replace(blank, left=np.full((120, 240), value, np.uint8), right=np.full((120, 240), value, np.uint8))
    raw = SemiGlobalMatching(quality).estimate(blank)
    assert np.isnan(raw.disparity_px).all() or np.nanmax(raw.disparity_px) <= 1.0


def gain(factor, offset=0.0):
    return lambda image: np.clip(image.astype(np.float32) * factor + offset, 0, 255).astype(np.uint8)


def gamma(exponent):
    return lambda image: np.clip(255 * (image / 255.0) ** exponent + 0.5, 0, 255).astype(np.uint8)


def vignette(image):
    height, width = image.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (image * (1 - 0.15 * (rows**2 + columns**2)[..., None])).astype(np.uint8)


@pytest.mark.parametrize(
    'changed', [gain(0.5), gain(1, 20), gain(1, -20), gamma(0.8), gamma(1.25), vignette],
    ids=['gain 0.5', 'offset 20', 'offset -20', 'gamma 0.8', 'gamma 1.25', 'vignette'],
)  # fmt: skip
def test_cameras_of_different_brightness_give_the_same_depth(motorcycle, changed):
    same, different = (
        SemiGlobalMatching().estimate(on_rig(motorcycle, image)).disparity_px
        for image in (motorcycle.right, changed(motorcycle.right))
    )
    truth = motorcycle.disparity_px
    evaluated = np.isfinite(truth)
    valid, bad = (
        [np.mean(measure(d)[evaluated]) for d in (same, different)]
        for measure in (np.isfinite, lambda d: np.abs(d - truth) > 3)
    )
    assert abs(valid[1] - valid[0]) < 0.04
    assert bad[1] - bad[0] < 0.02


def test_saturated_areas_are_unknown_rather_than_wrong():
    wall = frame(np.full((160, 320), 20.0, np.float32))
    left, right = wall.left.copy(), wall.right.copy()
    left[40:120, 100:220] = 255
    right[40:120, 70:230] = 255
    raw = SemiGlobalMatching(max_disparity_px=48).estimate(replace(wall, left=left, right=right))
    assert np.isnan(raw.disparity_px[60:100, 120:200]).mean() > 0.9


@pytest.mark.parametrize('quality', get_args(Quality))
@pytest.mark.parametrize(('height', 'width'), [(16, 64), (16, 640), (240, 32), (17, 33)])
def test_narrow_strips_and_short_ranges_are_matched_or_empty(quality, height, width):
    strip = frame(np.full((height, width), 4.0, np.float32))
    raw = SemiGlobalMatching(quality, max_disparity_px=6).estimate(strip)
    assert raw.disparity_px.shape == raw.confidence.shape == (height, width)
    assert not (np.abs(raw.disparity_px - 4) > 2).mean() > 0.2


def test_a11_unrelated_noise_is_mostly_refused_in_strict_quality():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (120, 240), np.uint8) for _ in range(2)]
    pair = replace(frame(np.zeros((120, 240), np.float32)), left=noise[0], right=noise[1])
    assert np.isfinite(SemiGlobalMatching(quality='strict').estimate(pair).disparity_px).mean() < 0.05


@pytest.mark.parametrize('quality', get_args(Quality))
def test_confidence_is_the_share_of_correct_matches(motorcycle, quality):
    raw = SemiGlobalMatching(quality).estimate(on_rig(motorcycle))
    known = np.isfinite(raw.disparity_px)
    assert (raw.confidence[~known] == 0).all()
    assert ((raw.confidence[known] > 0) & (raw.confidence[known] <= 1)).all()
    evaluated = known & np.isfinite(motorcycle.disparity_px)
    correct = np.abs(raw.disparity_px - motorcycle.disparity_px)[evaluated] <= 2
    confidence = raw.confidence[evaluated]
    assert abs(correct.mean() - confidence.mean()) < 0.05
    assert correct[confidence > 0.95].mean() > correct[confidence < 0.8].mean() + 0.1 if quality != 'strict' else True


@pytest.mark.parametrize('quality', get_args(Quality))
def test_more_evidence_never_means_less_confidence(quality):
    confidence = MatchConfidence(EFFORTS[quality]).of(np.arange(256, dtype=np.uint8)[None])
    assert (np.diff(confidence) >= 0).all()


def test_processing_scale_keeps_the_metres(motorcycle):
    half = StereoSettings(processing_scale=0.5)
    pair = stereo_frame(
        motorcycle.left, motorcycle.right, motorcycle.left_calibration, motorcycle.right_calibration, half
    )
    depth = depth_map(pair, stereo_estimator(half), half)
    assert depth.depth_m.shape == (250, 370) == (depth.camera.height, depth.camera.width)
    upright = cv2.resize(depth.depth_m, (741, 500), interpolation=cv2.INTER_NEAREST)
    assert motorcycle.accuracy(upright).median_abs_rel < 0.01


def test_an_empty_search_range_is_an_error():
    with pytest.raises(EstimatorError, match='search range is empty.*range_min_m'):
        SemiGlobalMatching(max_disparity_px=5).estimate(frame(np.zeros((60, 80), np.float32), offset_px=30.0))


def test_a_range_that_no_object_needs_does_not_change_the_result():
    wall = frame(np.full((160, 400), 20.0, np.float32))
    short, long = (SemiGlobalMatching(max_disparity_px=high).estimate(wall).disparity_px for high in (40, 200))
    both = np.isfinite(short) & np.isfinite(long)
    assert both.mean() > 0.8
    assert np.mean(np.abs(short - long)[both] < 0.25) > 0.98
