"""The filter of flying pixels on true maps, which it must keep, and on smeared ones."""

import functools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_ros.evaluation.motorcycle_pair import BASELINE_M, FOCAL_PX, load_motorcycle
from depth_ros.pipeline import filtered
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.world import make_world
from depth_ros.stages import filters
from depth_ros.types import Camera, DepthMap

CAMERA = Camera(640, 480, 512.0, 512.0, 319.5, 239.5)


@functools.cache
def room(seed):
    world = make_world(700_000 + seed)
    return render(world, world.pose_at(3.0 * seed), RobotMount(), CAMERA)[1]


def smeared(depth_m, how):
    """Return edges as networks blur them: inverse depth from a quarter of the size, or blurred; or blurred depth."""
    if how == 'small':
        small = cv2.resize(1 / depth_m, (160, 120), interpolation=cv2.INTER_AREA)
        return (1 / cv2.resize(small, (640, 480), interpolation=cv2.INTER_LINEAR)).astype(np.float32)
    if how == 'blurred inverse':
        return (1 / cv2.GaussianBlur(1 / depth_m, (0, 0), 2.0)).astype(np.float32)
    return cv2.GaussianBlur(depth_m, (0, 0), 1.5)


@pytest.mark.slow
@pytest.mark.parametrize('how', ['small', 'blurred inverse', 'blurred depth'])
def test_flying_pixels_fall_by_five_times_at_a_cost_of_less_than_five_percent(how):
    wrong_before = wrong_after = lost = good = 0
    for seed in range(10):
        true, seen = room(seed), smeared(room(seed), how)
        kept = np.isfinite(filters.without_flying_pixels(seen, CAMERA))
        wrong = np.abs(seen / true - 1) > 0.05
        wrong_before, wrong_after = wrong_before + wrong.sum(), wrong_after + (wrong & kept).sum()
        lost, good = lost + (~kept & ~wrong).sum(), good + (~wrong).sum()
    print(f'{how}: {wrong_before} → {wrong_after} pixels off by more than 5 %, {lost / good:.2%} of the good ones lost')
    assert wrong_before > 10_000 and wrong_after * 5 <= wrong_before and lost < 0.05 * good


LARGE = [(640, 480), (1280, 720)]
SIZES = [(224, 224), (320, 240), *(pytest.param(size, marks=pytest.mark.slow) for size in LARGE)]
ROOMS_WITH_THINGS = (2, 3, 6, 7)


def camera_of(size, view_rad=np.pi / 3):
    focal_px = size[0] / 2 / np.tan(view_rad / 2)
    return Camera(*size, focal_px, focal_px, (size[0] - 1) / 2, (size[1] - 1) / 2)


@functools.cache
def room_of(seed, size):
    world = make_world(700_000 + seed)
    return render(world, world.pose_at(3.0 * seed), RobotMount(0.3 if seed % 2 else 0.5), camera_of(size))[1]


def enlarged(depth_m, times, interpolation):
    height, width = depth_m.shape
    small = cv2.resize(depth_m, (width // times, height // times), interpolation=cv2.INTER_AREA)
    return np.maximum(cv2.resize(small, (width, height), interpolation=interpolation), 0.01)


SMEARS = {
    'depth blurred by 1 px': lambda d: cv2.GaussianBlur(d, (0, 0), 1.0),
    'depth blurred by 2 px': lambda d: cv2.GaussianBlur(d, (0, 0), 2.0),
    'inverse depth blurred by 2 px': lambda d: 1 / cv2.GaussianBlur(1 / d, (0, 0), 2.0),
    'bilinear x2': lambda d: enlarged(d, 2, cv2.INTER_LINEAR),
    'bilinear x4': lambda d: enlarged(d, 4, cv2.INTER_LINEAR),
    'bicubic x3': lambda d: enlarged(d, 3, cv2.INTER_CUBIC),
    'bicubic x4 of inverse depth': lambda d: 1 / enlarged(1 / d, 4, cv2.INTER_CUBIC),
}


def flying(true, seen, reach=6):
    """Return where a pixel lies between the surfaces within ``reach`` and is off by more than 5 % from all of them."""
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    between = (seen > cv2.erode(true, around)) & (seen < cv2.dilate(true, around))
    rows, columns = np.nonzero(between & (np.abs(seen / true - 1) > 0.05))
    bordered = cv2.copyMakeBorder(true, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    far = np.ones(len(rows), bool)
    for down, right in np.ndindex(around.shape):
        far &= np.abs(seen[rows, columns] / bordered[rows + down, columns + right] - 1) > 0.05
    found = np.zeros(true.shape, bool)
    found[rows[far], columns[far]] = True
    return found


def nearest_filled(depth_m):
    """Return the map with the nearest known depth in its holes."""
    unknown = np.isnan(depth_m).view(np.uint8)
    labels = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    by_label = np.zeros(labels.max() + 1, np.float32)
    by_label[labels[unknown == 0]] = depth_m[unknown == 0]
    return by_label[labels]


def resized(depth_m, camera, size):
    return cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST), camera.resized(*size)


@functools.cache
def motorcycle():
    disparity_px = load_motorcycle().disparity_px + 31.086
    camera = Camera(741, 500, FOCAL_PX, FOCAL_PX, 311.193, 254.877)
    return (FOCAL_PX * BASELINE_M / disparity_px).astype(np.float32), camera


def shared_data(name):
    folder = os.environ.get('DEPTH_ROS_DATA')
    if not folder:
        pytest.skip(f'DEPTH_ROS_DATA is not set: the folder that contains {name}')
    path = Path(folder, name)
    if not path.is_file():
        pytest.skip(f'{path} does not exist')
    return path


def stereo_truth(name, unit, focal_px, baseline_m, offset_px, centre):
    """Return the depth and the camera of a disparity image of the shared data, in which 0 is unknown."""
    disparity_px = cv2.imread(str(shared_data(f'stereo/{name}')), cv2.IMREAD_UNCHANGED).astype(np.float32) / unit
    disparity_px[disparity_px == 0] = np.nan
    height, width = disparity_px.shape
    return focal_px * baseline_m / (disparity_px + offset_px), Camera(width, height, focal_px, focal_px, *centre)


SHARED = {
    'teddy': ('teddy/disparity_x4.png', 4, 935.0, 0.16, 0.0, (225.0, 187.0)),
    'adirondack': ('adirondack/disparity.png', 1, 1040.3, 0.176252, 52.265, (361.0, 247.0)),
    'kitti': ('kitti_000046/disparity_x256.png', 256, 721.5377, 0.5327, 0.0, (609.56, 172.85)),
}


def removed_share(how, maps):
    removed = count = 0
    for true, camera in maps:
        seen = SMEARS[how](true).astype(np.float32)
        between = flying(true, seen)
        removed += (between & np.isnan(filters.without_flying_pixels(seen, camera))).sum()
        count += between.sum()
    print(f'{how}: {removed / count:.1%} of {count} flying pixels removed')
    assert count > 100
    return removed / count


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('how', SMEARS)
def test_at_every_size_95_percent_of_the_flying_pixels_are_removed(how, size):
    assert removed_share(how, [(room_of(seed, size), camera_of(size)) for seed in ROOMS_WITH_THINGS]) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('how', SMEARS)
@pytest.mark.parametrize('scene', ['motorcycle', 'teddy', 'adirondack'])
def test_at_every_size_flying_pixels_of_real_scenes_are_removed(scene, how, size):
    """Where edges are closer together than a smear is wide (Motorcycle at 224x224), some are one continuing slope."""
    true, camera = motorcycle() if scene == 'motorcycle' else stereo_truth(*SHARED[scene])
    true, camera = resized(nearest_filled(true), camera, size)
    assert removed_share(how, [(true, camera)]) >= 0.95


def lost_share(depth_m, camera):
    kept = filters.without_flying_pixels(depth_m, camera)
    return 1 - np.isfinite(kept).sum() / np.isfinite(depth_m).sum()


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('known', [True, False], ids=['camera known', 'camera unknown'])
@pytest.mark.parametrize('scene', ['motorcycle', 'rooms', *SHARED])
def test_at_every_size_a_true_map_loses_at_most_two_percent(scene, known, size):
    if scene == 'rooms':
        maps = [(room_of(seed, size), camera_of(size)) for seed in ROOMS_WITH_THINGS]
    else:
        maps = [resized(*(motorcycle() if scene == 'motorcycle' else stereo_truth(*SHARED[scene])), size)]
    for depth_m, camera in maps:
        lost = lost_share(depth_m, camera if known else None)
        print(f'{scene}, {size}: {lost:.2%} lost')
        assert lost <= 0.02


def test_what_a_depth_camera_smeared_in_ground_truth_is_removed_and_little_else():
    """The depth image of NYU Depth v2 has one to three pixels between foreground and background, see the numbers."""
    true = np.load(shared_data('mono/fastdepth/depth.npy'))
    camera = Camera(224, 224, 199.1, 265.9, 114.3, 119.0)
    sharp = true
    for _ in range(2):  # each pixel at an edge moves to the nearer one of the depths beside it
        near, far = cv2.erode(sharp, np.ones((3, 3), np.uint8)), cv2.dilate(sharp, np.ones((3, 3), np.uint8))
        sharp = np.where(far / near > 1.05, np.where(sharp**2 < near * far, near, far), sharp)
    smeared_px = np.abs(sharp / true - 1) > 0.05
    removed = np.isnan(filters.without_flying_pixels(true, camera))
    print(
        f'{smeared_px.mean():.2%} smeared; removed {removed.mean():.2%}, {(removed & ~smeared_px).mean():.2%} not smeared'
    )
    assert smeared_px.mean() > 0.04 and (removed & ~smeared_px).mean() <= 0.02
    assert lost_share(sharp, camera) <= 0.02


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_single_unknown_pixels_do_not_interrupt_a_floor(size):
    camera = camera_of(size)
    rows = 1.5 * camera.fy / np.maximum(np.arange(size[1], dtype=np.float32) - np.float32(camera.cy), 1e-3)
    depth = np.broadcast_to(np.minimum(rows, 40)[:, None], size[::-1]).astype(np.float32)
    depth[np.random.default_rng(0).random(depth.shape) < 0.01] = np.nan
    assert lost_share(depth, camera) <= 0.002


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_a_floor_that_runs_far_away_is_not_an_edge(size):
    """The floor below a camera 0.3 m high is seen at less than 2 degrees where it ends at a wall 10 m away."""
    camera = camera_of(size)
    with np.errstate(divide='ignore'):
        rows = 0.3 * camera.fy / (np.arange(size[1], dtype=np.float32) - np.float32(camera.cy))
    depth = np.broadcast_to(np.where((rows > 0) & (rows < 10), rows, 10)[:, None], size[::-1]).astype(np.float32)
    np.testing.assert_array_equal(filters.without_flying_pixels(depth, camera), depth)


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_both_sides_of_a_sharp_step_and_thin_poles_are_kept(size):
    depth = np.full(size[::-1], 4.0, np.float32)
    depth[60:, 100:] = 1.5
    depth[:50, 30:31], depth[:50, 40:42] = 2.0, 2.0
    np.testing.assert_array_equal(filters.without_flying_pixels(depth, camera_of(size)), depth)


def test_the_angle_at_which_a_ray_meets_the_surface_decides_and_not_the_slope_per_pixel():
    """The rays of a wide camera meet the same ramp of 8 pixels at 48 degrees, those of a telephoto camera at 1 degree."""
    depth = np.full((224, 224), 2.0, np.float32)
    depth[:, 100:], depth[:, 100:108] = 2.4, np.linspace(2.0, 2.4, 10, dtype=np.float32)[1:-1]
    image = np.zeros((224, 224), np.uint8)
    settings = MonoSettings(filter_edges=True)
    for view_rad, kept in ((2.4, True), (0.1, False)):
        camera = camera_of((224, 224), view_rad)
        found = filtered(DepthMap(depth, camera, None, None, image), settings).depth_m
        assert np.isfinite(found).all() == kept


def test_large_maps_are_filtered_too():
    true = cv2.resize(room(1), (1280, 960), interpolation=cv2.INTER_NEAREST)
    seen = cv2.GaussianBlur(true, (0, 0), 3.0)
    kept = np.isfinite(filters.without_flying_pixels(seen))
    wrong = np.abs(seen / true - 1) > 0.05
    assert (wrong & kept).sum() * 5 <= wrong.sum() and (~kept & ~wrong).sum() < 0.05 * (~wrong).sum()
