"""Filters on the simulator's rooms, whose true depth is known."""

import itertools

import numpy as np
import pytest

from depth_ros.errors import BadFile, BadSettings
from depth_ros.pipeline import filtered
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.solids import Box
from depth_ros.sim.world import PlanarPose, World, make_world
from depth_ros.stages import filters
from depth_ros.stages.stabilizer import Stabilizer
from depth_ros.types import Camera, DepthMap


def wall(height=48, width=64):
    return np.full((height, width), 3.0, np.float32)


def test_only_small_islands_are_speckles():
    depth = wall(96, 128)
    depth[10:14, 10:14] = 1.0
    depth[40:70, 40:80] = 2.0
    depth[80, 80], depth[81, 80], depth[82, 80] = np.inf, -np.inf, np.nan
    found = filters.without_speckles(depth, 40)
    assert np.isnan(found[10:14, 10:14]).all() and (found[40:70, 40:80] == 2.0).all()
    assert found[80, 80] == np.inf and found[81, 80] == -np.inf
    assert np.isnan(found).sum() == 16 + 1


def test_low_confidence_and_masked_regions_are_removed_and_nothing_else():
    depth = wall()
    depth[0, 0] = np.inf
    doubt = np.where(np.arange(64) < 10, 0.2, 0.9).astype(np.float32)[None].repeat(48, 0)
    found = filters.without_low_confidence(depth, doubt, 0.5)
    assert np.isnan(found[1:, :10]).all() and (found[:, 10:] == 3.0).all() and found[0, 0] == np.inf
    region = np.full((48, 64), 255, np.uint8)
    region[40:] = 0
    found = filters.without_region(depth, region)
    assert np.isnan(found[40:]).all() and (found[1:40] == 3.0).all()


def test_small_holes_are_filled_from_around_and_large_ones_are_not():
    depth = wall()
    depth[:, 32:] = 2.0
    depth[10:13, 10:40], depth[30:45, 5:25], depth[0, 0] = np.nan, np.nan, np.inf
    found = filters.fill_holes(depth, 4)
    assert np.isfinite(found[10:13, 10:40]).all() and found[11, 12] == pytest.approx(3.0)
    assert 2.0 <= found[11, 32] <= 3.0 and np.isnan(found[35:40, 10:20]).all() and found[0, 0] == np.inf
    full = wall()
    assert filters.fill_holes(full, 4) is full


@pytest.mark.parametrize('function', [
    filters.without_flying_pixels, lambda d: filters.without_speckles(d, 50), lambda d: filters.fill_holes(d, 5),
    lambda d: filters.stabilized(d, d, 0.4, 0.1),
])  # fmt: skip
@pytest.mark.parametrize('shape', [(16, 16), (17, 31), (480, 1001)])
def test_no_filter_writes_to_its_input_and_constant_maps_pass_unchanged(function, shape):
    for value in (np.nan, np.inf, -np.inf, 2.0):
        depth = np.full(shape, value, np.float32)
        before = depth.copy()
        found = function(depth)
        np.testing.assert_array_equal(depth, before)
        np.testing.assert_array_equal(found, before)


def moving_box(frame):
    """Return the depth of a corridor through which a box moves sideways, 0.12 m a frame."""
    world = make_world(3)
    box = Box((3.0, -1.0 + 0.12 * frame, 0.4), (0.2, 0.25, 0.4))
    alone = World(world.room, (box,), world.room_textures, world.solid_textures[:1], 3)
    camera = Camera(320, 240, 256.0, 256.0, 159.5, 119.5)
    return render(alone, PlanarPose(0.0, 0.0, 0.0), RobotMount(), camera)[1]


@pytest.mark.slow
def test_flicker_falls_by_half_and_a_moving_box_leaves_no_trail():
    rng, stabilizer = np.random.default_rng(0), Stabilizer()
    camera = Camera(320, 240, 256.0, 256.0, 159.5, 119.5)
    noisy, calm, truth = [], [], []
    for frame in range(14):
        true = moving_box(frame)
        seen = (true * (1 + 0.02 * rng.normal(size=true.shape))).astype(np.float32)
        stamp = frame * 33_000_000
        kept = stabilizer.apply(DepthMap(seen, camera, None, None, np.zeros(true.shape, np.uint8), stamp))
        noisy.append(seen), calm.append(kept.depth_m), truth.append(true)
    static = np.abs(truth[0] / truth[-1] - 1) < 1e-3
    for before, after in itertools.pairwise(truth):
        static &= np.abs(before / after - 1) < 1e-3

    def flicker(maps):
        return np.median([np.median(np.abs(b / a - 1)[static]) for a, b in itertools.pairwise(maps[4:])])

    print(f'flicker {flicker(noisy):.2%} → {flicker(calm):.2%}')
    assert flicker(calm) <= flicker(noisy) / 2
    # Where the box was three frames ago, and where it is now, no old depth remains.
    changed = (np.abs(truth[-4] / truth[-1] - 1) > 0.05) & (np.abs(truth[-4] / truth[-3] - 1) > 0.05)
    trail = np.abs(calm[-1] / truth[-1] - 1)[changed]
    assert changed.sum() > 200 and np.mean(trail > 0.1) < 0.01


def test_older_than_a_second_or_newer_maps_and_those_of_another_network_are_not_used_for_smoothing():
    stabilizer, camera = Stabilizer(), Camera(64, 48, 60.0, 60.0, 32.0, 24.0)

    def applied(value, stamp_s, width=64, source=''):
        image = np.zeros((48, width), np.uint8)
        depth = np.full((48, width), value, np.float32)
        depth = DepthMap(depth, camera, None, None, image, int(stamp_s * 1e9), source=source)
        return stabilizer.apply(depth).depth_m[0, 0]

    assert applied(2.0, 10.0) == 2.0 and applied(2.1, 10.1) == pytest.approx(2.04)
    assert applied(2.1, 12.0) == pytest.approx(2.1)  # a gap
    assert applied(2.0, 3.0) == 2.0  # a jump back
    assert applied(2.1, 3.1, width=32) == pytest.approx(2.1)  # another size
    assert applied(2.2, 3.2, width=32, source='other') == pytest.approx(2.2)


def test_the_settings_choose_and_the_mask_must_fit():
    depth = DepthMap(wall(), None, np.full((48, 64), 0.4, np.float32), None, np.zeros((48, 64), np.uint8))
    off = MonoSettings(filter_edges=False)
    assert filtered(depth, off) is depth
    assert np.isnan(filtered(depth, off.changed({'filter.min_confidence': 0.5})).depth_m).all()
    mask = np.zeros((48, 64), np.uint8)
    mask[:10] = 255
    masked = off.changed({'filter.mask_file': 'mask.png'})
    found = filtered(depth, masked, mask).depth_m
    assert (found[:10] == 3.0).all() and np.isnan(found[10:]).all()
    with pytest.raises(BadFile, match='is 64x20 and the depth image is 64x48'):
        filtered(depth, masked, mask[:20])
    with pytest.raises(BadSettings, match='no mask was given'):
        filtered(depth, masked)
