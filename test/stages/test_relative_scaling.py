"""Relative depth as nearness: direction, range, and stability over time."""

from itertools import pairwise

import numpy as np
import pytest

from depth_ros.stages.colorize import colorize, colorize_nearness
from depth_ros.stages.relative_scaling import RelativeScaler, single_nearness
from depth_ros.types import RelativeMap

DEPTH_M = np.tile(np.linspace(1, 8, 160, dtype=np.float32), (120, 1))
FRAME_NS = 33_333_333
NAN, INF = np.float32(np.nan), np.float32(np.inf)


def relative(values, space='relative_inverse_depth', stamp_ns=0, shift_known=True, source=''):
    return RelativeMap(np.asarray(values, np.float32), space, 'why', stamp_ns, 'camera', shift_known, source=source)


def nearness(scaler, values, frame=0, scaling='robust', **kind):
    return scaler.apply(relative(values, stamp_ns=10**9 + frame * FRAME_NS, **kind), scaling).values


@pytest.mark.parametrize('scaling', ['robust', 'minmax'])
@pytest.mark.parametrize(
    'kind',
    [
        {'space': 'relative_inverse_depth', 'values': 0.3 / DEPTH_M - 0.7},
        {'space': 'relative_depth', 'values': 0.3 * DEPTH_M},
        {'space': 'relative_depth', 'values': 0.3 * DEPTH_M - 0.7, 'shift_known': False},
        {'space': 'metric_depth', 'values': DEPTH_M},
    ],
)
def test_larger_is_nearer_for_every_kind_of_relative_depth(kind, scaling):
    scaled = nearness(RelativeScaler(), scaling=scaling, **kind)
    assert (np.diff(scaled[0]) <= 0).all() and scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[:, [0, -1]], np.broadcast_to([1, 0], (120, 2)), atol=1e-6)


def test_kinds_that_are_known_up_to_a_factor_give_the_same_inverse_depth():
    expected = single_nearness(relative(1 / DEPTH_M))
    for kind in ({'values': 5 / DEPTH_M + 2}, {'values': DEPTH_M * 7, 'space': 'relative_depth'}):
        np.testing.assert_allclose(single_nearness(relative(**kind)), expected, atol=1e-5)


def test_unknown_remains_unknown_sky_is_zero_and_outliers_are_clipped():
    for space, values in (('relative_inverse_depth', 1 / DEPTH_M), ('relative_depth', DEPTH_M)):
        values = values.copy()
        values[0, :4] = NAN, INF, values[0, 0] * 1e6, -1.0
        for scaling in ('robust', 'minmax'):
            scaled = nearness(RelativeScaler(), values, scaling=scaling, space=space)
            assert np.isnan(scaled[0, 0]) and np.isnan(scaled).sum() == 1 and scaled[0, 1] == 0
            assert np.nanmin(scaled) == 0 and np.nanmax(scaled) == 1
        robust = nearness(RelativeScaler(), values, space=space)
        np.testing.assert_allclose(robust[1:], single_nearness(relative(1 / DEPTH_M))[1:], atol=0.01)


def test_none_leaves_the_values_of_the_network_and_colours_are_available():
    values = 0.3 / DEPTH_M - 0.7
    raw = relative(values)
    scaled = RelativeScaler().apply(raw, 'none')
    assert scaled.values is raw.values and scaled.space == 'relative_inverse_depth'
    np.testing.assert_array_equal(scaled.nearness, single_nearness(raw))


@pytest.mark.parametrize('value', [np.nan, np.inf, -3.0, 0.0, 5.0])
@pytest.mark.parametrize('space', ['relative_inverse_depth', 'relative_depth'])
def test_a_map_of_one_value_does_not_fail(value, space):
    scaled = nearness(RelativeScaler(), np.full((4, 5), value), space=space)
    assert np.isnan(scaled).all() if np.isnan(value) else ((scaled >= 0) & (scaled <= 1)).all()


def test_numerical_noise_of_a_constant_map_is_not_amplified():
    noise = np.random.default_rng(0).normal(0, 1e-6, (40, 50))
    assert (nearness(RelativeScaler(), 5.0 + noise) == 0.5).all()


def flicker(scaled):
    """Return the largest change of a pixel's nearness between consecutive frames."""
    return max(float(np.abs(b - a).max()) for a, b in pairwise(scaled))


def test_a_static_scene_does_not_flicker_when_an_object_blinks():
    """A near object covers 3 % of the image in every second frame, which moves the 98th percentile by a third."""
    scaler, alone, smoothed = RelativeScaler(), [], []
    for frame in range(60):
        values = 1 / DEPTH_M
        if frame % 2:
            values = values.copy()
            values[:40, -15:] = 1.4
        static = np.s_[50:]
        alone.append(single_nearness(relative(values))[static])
        smoothed.append(nearness(scaler, values, frame)[static])
    assert flicker(alone) > 0.2
    assert flicker(smoothed) < flicker(alone) / 8


def test_noise_of_the_percentiles_is_reduced_below_one_percent():
    rng, scaler, alone, smoothed = np.random.default_rng(1), RelativeScaler(), [], []
    for frame in range(60):
        values = 1 / DEPTH_M
        values[:10] *= rng.uniform(0.8, 1.2)
        values[10:20] += rng.uniform(0.0, 0.3)
        alone.append(single_nearness(relative(values))[50:])
        smoothed.append(nearness(scaler, values, frame)[50:])
    assert flicker(smoothed) < 0.01 < flicker(alone) / 5


def test_the_limits_follow_a_slow_change():
    scaler = RelativeScaler()
    for frame in range(300):  # ten seconds, in which all depths are doubled
        values = 1 / (DEPTH_M * (1 + min(frame, 240) / 240))
        scaled = nearness(scaler, values, frame)
    np.testing.assert_allclose(scaled, single_nearness(relative(values)), atol=0.06)


def test_the_smoothing_time_does_not_depend_on_the_rate():
    far, results = 1 / (1.2 * DEPTH_M), []
    for rate_hz in (10, 30):
        scaler = RelativeScaler()
        for frame in range(rate_hz + 1):
            stamp_ns = 10**9 + frame * 10**9 // rate_hz
            scaled = scaler.apply(relative(far if frame else 1 / DEPTH_M, stamp_ns=stamp_ns), 'robust').values
        results.append(scaled)
    assert np.abs(results[0] - results[1]).max() < 0.01


AFTER = 0.2 / DEPTH_M + 3.0


@pytest.mark.parametrize(
    ('frame', 'values', 'kind'),
    [
        (11, AFTER, {}),  # a cut
        (11, (1.1 / DEPTH_M)[:60], {}),  # another size
        (11, DEPTH_M * 1.1, {'space': 'relative_depth'}),  # another kind of model
        (11, 1.1 / DEPTH_M, {'source': 'other'}),  # another network
        (-5, 1.1 / DEPTH_M, {}),  # the recording starts again
    ],
)
def test_a_cut_another_size_another_kind_and_a_jump_back_start_anew(frame, values, kind):
    scaler = RelativeScaler()
    for each in range(10):
        nearness(scaler, 1 / DEPTH_M, each)
    np.testing.assert_array_equal(nearness(scaler, values, frame, **kind), single_nearness(relative(values, **kind)))


def test_frames_without_depth_do_not_change_the_limits():
    scaler = RelativeScaler()
    before = nearness(scaler, 1 / DEPTH_M, 0)
    assert np.isnan(nearness(scaler, np.full_like(DEPTH_M, NAN), 1)).all()
    assert (nearness(scaler, np.full_like(DEPTH_M, INF), 2) == 0).all()
    np.testing.assert_array_equal(nearness(scaler, 1 / DEPTH_M, 3), before)


def test_frames_without_stamps_are_smoothed():
    scaler, kept = RelativeScaler(), 1 / DEPTH_M
    scaler.apply(relative(kept), 'robust')
    changed = kept * np.float32(1.2)
    scaled = [scaler.apply(relative(changed), 'robust').values for _ in range(30)]
    assert np.abs(scaled[0] - single_nearness(relative(changed))).max() > 0.05
    np.testing.assert_allclose(scaled[-1], single_nearness(relative(changed)), atol=0.01)


def test_minmax_uses_each_frame_alone():
    scaler = RelativeScaler()
    nearness(scaler, 1 / DEPTH_M, 0, scaling='minmax')
    scaled = nearness(scaler, 1.2 / DEPTH_M, 1, scaling='minmax')
    assert scaled.min() == 0 and scaled.max() == 1 and (np.diff(scaled[0]) < 0).all()


@pytest.mark.parametrize('colormap', ['turbo', 'viridis', 'grayscale'])
def test_nearness_has_the_colours_of_near_and_far_depth(colormap):
    colors = colorize_nearness(np.float32([[1.0, 0.0, NAN]]), colormap)[0].astype(int)
    metric = colorize(np.float32([[0.5, 2.0, NAN]]), colormap)[0].astype(int)
    np.testing.assert_allclose(colors, metric, atol=3)
    assert (colors[2] == 0).all()
