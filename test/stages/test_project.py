import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.stages.project import project
from depth_ros.types import Camera, DepthMap

RNG = np.random.default_rng(3)
CAMERA = Camera(64, 48, 50.0, 55.0, 30.5, 25.25)


def depth_map(depth_m, camera=CAMERA, image=None):
    if image is None:
        image = RNG.integers(0, 256, (*depth_m.shape, 3), np.uint8)
    return DepthMap(depth_m, camera, None, None, image, stamp_ns=7, frame_id='optical')


@given(st.integers(1, 5), st.floats(20, 2000), st.floats(-10, 80), st.floats(-10, 60))
def test_projecting_a_point_back_gives_its_pixel(stride, focal, cx, cy):
    camera = Camera(64, 48, focal, 1.1 * focal, cx, cy)
    depth_m = np.random.default_rng(0).uniform(0.3, 30, (48, 64)).astype(np.float32)
    points = project(depth_map(depth_m, camera), stride=stride).points
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    u, v = np.meshgrid(np.arange(0, 64, stride), np.arange(0, 48, stride))
    np.testing.assert_array_equal(z, depth_m[::stride, ::stride])
    np.testing.assert_allclose(x / z * camera.fx + camera.cx, u, atol=2e-3)
    np.testing.assert_allclose(y / z * camera.fy + camera.cy, v, atol=2e-3)


def test_what_is_not_finite_becomes_nan_in_all_three_columns():
    depth_m = np.full((48, 64), 2.0, np.float32)
    depth_m[0, :3] = np.nan, np.inf, -np.inf
    points = project(depth_map(depth_m)).points
    assert np.isnan(points[0, :3]).all()
    assert np.isfinite(points[1:]).all()


def test_a_dense_cloud_has_exactly_the_finite_points():
    depth_m = np.full((48, 64), np.nan, np.float32)
    depth_m[10, 20] = 3.0
    cloud = project(depth_map(depth_m), colored=True, organized=False)
    assert not cloud.organized
    assert cloud.points.shape == (1, 4)
    assert cloud.points[0, 2] == 3.0


@pytest.mark.parametrize('grey', [False, True])
def test_g2_colour_is_packed_as_pcl_reads_it(grey):
    image = RNG.integers(0, 256, (48, 64) if grey else (48, 64, 3), np.uint8)
    cloud = project(depth_map(np.ones((48, 64), np.float32), image=image), colored=True)
    packed = np.ascontiguousarray(cloud.points[..., 3]).view(np.uint32)
    rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=-1)
    np.testing.assert_array_equal(rgb, np.dstack([image] * 3) if grey else image)
    assert not (packed >> 24).any()


def test_the_depth_map_is_not_written_to():
    depth_m = np.ones((48, 64), np.float32)
    depth_m[0, 0] = np.inf
    depth_m.flags.writeable = False
    project(depth_map(depth_m), colored=True)
    assert depth_m[0, 0] == np.inf


def test_the_given_memory_is_used():
    out = np.empty((48, 64, 4), np.float32)
    cloud = project(depth_map(np.ones((48, 64), np.float32)), colored=True, out=out)
    assert cloud.points is out
    np.testing.assert_array_equal(out[..., 2], 1.0)
