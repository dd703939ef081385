"""Clouds and scans for a navigation stack, on the simulator and on a model of Nav2's costmap."""

import numpy as np
import pytest
import yaml
from nav2_model import ObstacleLayer, Source

from depth_ros.files.installed_files import shared_file
from depth_ros.geometry import Band, Mount
from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.render import scan as sim_scan
from depth_ros.sim.solids import Box, Room
from depth_ros.sim.world import PlanarPose, World, make_world
from depth_ros.stages.metric import within_range
from depth_ros.stages.navigation import clearing_points, cropped, one_per_voxel, scan
from depth_ros.stages.project import project
from depth_ros.types import Camera, DepthMap

CAMERA = Camera(320, 240, 256.0, 256.0, 159.5, 119.5)
BOX = Box((1.8, 0.1, 0.25), (0.15, 0.2, 0.25))
OBSTACLES = Band(0.1, 2.0)


HERE = PlanarPose(0.0, 0.0, 0.0)


def seen(world, mount, pose=HERE, range_max_m=40.0):
    image, depth_m = render(world, pose, RobotMount(mount.height_m, mount.pitch_rad), CAMERA)
    return DepthMap(within_range(depth_m, 0.1, range_max_m), CAMERA, None, None, image)


def hall(*solids):
    """Return a hall whose walls are farther than the camera's range."""
    textures = make_world(1)
    return World(Room(9.0, 9.0, 5.0), solids, textures.room_textures, textures.solid_textures[: len(solids)], 1)


def to_global(points, mount):
    """Turn points of the optical frame into x forward, y left, z up about the point on the floor below the camera."""
    c, s = np.cos(mount.pitch_rad), np.sin(mount.pitch_rad)
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    return np.stack([c * z - s * y, -x, mount.height_m - (s * z + c * y)], axis=1)


def sources():
    """Return the two sources of the recipe that ships."""
    content = yaml.safe_load(shared_file('config/nav2.yaml').read_text())
    layer = content['local_costmap']['local_costmap']['ros__parameters']['obstacle_layer']
    names = (
        'marking',
        'clearing',
        'min_obstacle_height',
        'max_obstacle_height',
        'obstacle_max_range',
        'raytrace_max_range',
    )
    return {name: Source(*(layer[name][key] for key in names)) for name in layer['observation_sources'].split()}


def drive(frames, mount, with_clearing, noise=0.01):
    """Pass depth of several worlds to a costmap; return whether the box's place is marked after every frame."""
    layer, marked, rng = ObstacleLayer(), [], np.random.default_rng(0)
    origin = np.array([0.0, 0.0, mount.height_m])
    recipe = sources()
    # The usual recipe: one source that marks and clears, without the floor.
    alone = Source(True, True, 0.1, 2.0, 2.5, 3.0)
    for world in frames:
        depth = seen(world, mount, range_max_m=4.0)
        noisy = DepthMap(
            (depth.depth_m * (1 + noise * rng.normal(size=depth.depth_m.shape))).astype(np.float32),
            CAMERA,
            None,
            None,
            depth.image,
        )
        points = to_global(project(noisy, organized=False, stride=4).points, mount)
        if with_clearing:
            free = to_global(clearing_points(noisy, mount, OBSTACLES, 3.5, 0.05).points, mount)
            layer.update([(recipe['depth_mark'], points, origin), (recipe['depth_clear'], free, origin)])
        else:
            layer.update([(alone, points, origin)])
        marked.append(layer.marked((1.5, -0.15), (2.0, 0.35)))
    return marked


@pytest.mark.slow
@pytest.mark.parametrize('mount', [Mount(0.5), Mount(0.8, 0.3)])
def test_an_obstacle_is_marked_within_three_frames_and_cleared_within_five(mount):
    frames = [hall()] * 4 + [hall(BOX)] * 6 + [hall()] * 8
    marked = drive(frames, mount, with_clearing=True)
    assert not any(marked[:4]) and all(marked[6:10]) and not any(marked[14:]), marked


@pytest.mark.slow
@pytest.mark.parametrize('mount', [Mount(0.5), Mount(0.8, 0.3)])
def test_with_points_alone_an_obstacle_is_never_cleared(mount):
    frames = [hall()] * 4 + [hall(BOX)] * 6 + [hall()] * 30
    assert all(drive(frames, mount, with_clearing=False)[6:])


@pytest.mark.slow
def test_a_low_obstacle_in_front_of_free_space_is_not_cleared():
    """A low box stays marked although the camera sees the far floor and nothing beyond it, frame after frame."""
    low = Box((1.8, 0.1, 0.1), (0.15, 0.2, 0.1))
    assert all(drive([hall(low)] * 12, Mount(0.8, 0.3), with_clearing=True)[2:])


@pytest.mark.parametrize('mount', [Mount(0.5), Mount(0.8, 0.3), Mount(1.2, -0.1)])
def test_clearing_rays_end_in_free_space(mount):
    depth = seen(hall(BOX), mount, range_max_m=4.0)
    ends = to_global(clearing_points(depth, mount, OBSTACLES, 3.5, 0.05).points, mount)
    assert len(ends) > 300 and np.isfinite(ends).all()
    assert np.linalg.norm(ends - [0, 0, mount.height_m], axis=1).max() <= 3.5 + 1e-3
    assert ends[:, 2].min() > -0.02
    inside = (np.abs(ends[:, 0] - 1.8) < 0.15) & (np.abs(ends[:, 1] - 0.1) < 0.2)
    assert not inside.any()
    assert (np.abs(ends[:, 2]) < 0.02).any() == (mount.pitch_rad >= 0)  # the floor is there


def test_unknown_pixels_give_no_ray():
    depth = DepthMap(np.full((240, 320), np.nan, np.float32), CAMERA, None, None, np.zeros((240, 320), np.uint8))
    assert len(clearing_points(depth, Mount(0.5), OBSTACLES, 3.5, 0.05).points) == 0
    assert np.isnan(scan(depth, Mount(0.5), OBSTACLES).ranges_m).all()


@pytest.mark.slow
@pytest.mark.parametrize('mount', [Mount(0.5), Mount(0.8, 0.25)])
def test_a_scan_is_what_a_laser_at_that_height_measures(mount):
    """Against the simulator's own laser, where an object fills the band."""
    world = make_world(800_001)
    for second in (0.0, 7.0, 13.0):
        pose = world.pose_at(second)
        found = scan(seen(world, mount, pose), mount, Band(0.15, 0.25))
        true = sim_scan(world, pose, 0.2, count=3600)
        angles = found.angle_min_rad + found.angle_increment_rad * np.arange(len(found.ranges_m))
        expected = true[np.rint(angles / (2 * np.pi) * 3600).astype(int) % 3600]
        hit = np.isfinite(found.ranges_m)
        off = np.abs(found.ranges_m[hit] / expected[hit] - 1)
        assert hit.mean() > 0.6 and np.median(off) < 0.01 and np.mean(off < 0.05) > 0.85, (
            second,
            np.median(off),
            hit.mean(),
        )


def test_a_scan_is_infinite_without_an_obstacle():
    found = scan(seen(hall(BOX), Mount(0.5), range_max_m=4.0), Mount(0.5), OBSTACLES)
    angles = found.angle_min_rad + found.angle_increment_rad * np.arange(len(found.ranges_m))
    ahead = np.abs(angles - np.arctan2(0.1, 1.65)) < 0.05
    np.testing.assert_allclose(found.ranges_m[ahead] * np.cos(angles[ahead]), 1.65, atol=0.02)
    assert np.isposinf(found.ranges_m[np.abs(angles) > 0.35]).all()


def test_a_crop_keeps_what_is_near_and_at_the_right_height():
    mount = Mount(0.8, 0.3)
    depth = seen(hall(BOX), mount)
    points = to_global(project(cropped(depth, 3.0, Band(0.1, 0.4), mount), organized=False).points, mount)
    assert len(points) > 500 and points[:, 2].min() > 0.09 and points[:, 2].max() < 0.41
    far = project(cropped(depth, 2.0, None, mount), organized=False).points
    assert far[:, 2].max() <= 2.0 and len(far) > len(points)


def test_a_voxel_keeps_one_point():
    cloud = project(seen(hall(BOX), Mount(0.5)), colored=True, organized=False)
    thin = one_per_voxel(cloud, 0.1)
    cells = np.floor(thin.points[:, :3] / np.float32(0.1)).astype(int)
    assert len(np.unique(cells, axis=0)) == len(cells) < len(cloud.points) / 10
    assert len(np.unique(np.floor(cloud.points[:, :3] / np.float32(0.1)).astype(int), axis=0)) == len(cells)
