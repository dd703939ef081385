"""Family B of the fault list: calibration."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import calibrations

from depth_ros.errors import BadCameraInfo
from depth_ros.stages.intrinsics import looks_unrectified, rectified_camera, stereo_rig
from depth_ros.types import Camera

LEFT, RIGHT = calibrations(640, 480, focal=500.0, baseline_m=0.12, offset_px=-31.0)
ZERO_K, ZERO_P = (0.0,) * 9, (0.0,) * 12


def with_p(calibration, **entries):
    index = {'fx': 0, 'cx': 2, 'tx': 3, 'fy': 5, 'cy': 6}
    p = list(calibration.p)
    for name, value in entries.items():
        p[index[name]] = value
    return replace(calibration, p=tuple(p))


def test_a_good_pair_gives_its_baseline_and_both_principal_points():
    rig = stereo_rig(LEFT, RIGHT, 640, 480)
    assert rig.baseline_m == pytest.approx(0.12)
    assert rig.offset_px == pytest.approx(-31.0)
    assert rig.left == Camera(640, 480, 500.0, 500.0, 320.0, 240.0)


@pytest.mark.parametrize(
    ('calibration', 'message'),
    [
        (replace(LEFT, k=ZERO_K, p=ZERO_P), r'k\[0\] = 0.*uncalibrated.*Calibrate it'),
        (with_p(LEFT, fx=float('nan')), r'fx = nan.*expected finite'),
        (with_p(LEFT, fx=-500.0), r'fx = -500.*fx > 0'),
        (with_p(LEFT, fx=5000.0), r'fx = 5000 and fy = 500.*similar'),
        (with_p(LEFT, cx=9000.0), r'principal point at \(9000'),
        (replace(LEFT, p=ZERO_P, k=(float('nan'), *LEFT.k[1:])), r'camera_info\.k has fx = nan'),
    ],
)
def test_b2_a_camera_without_usable_intrinsics_is_refused_with_the_reason(calibration, message):
    with pytest.raises(BadCameraInfo, match=message):
        rectified_camera(calibration, 640, 480)


def test_b2_k_replaces_a_zero_p():
    assert rectified_camera(replace(LEFT, p=ZERO_P), 640, 480).fx == 500.0


def test_b3_binning_and_roi_are_applied():
    binned = replace(LEFT, binning=(2, 2))
    assert rectified_camera(binned, 320, 240) == Camera(320, 240, 250.0, 250.0, 160.0, 120.0)
    window = replace(LEFT, roi=(100, 40, 320, 240))
    assert rectified_camera(window, 320, 240) == Camera(320, 240, 500.0, 500.0, 220.0, 200.0)


def test_b3_a_size_mismatch_is_refused_and_the_error_names_both_sizes():
    with pytest.raises(BadCameraInfo, match=r'image is 320x240 but its camera_info describes 640x480.*binning 1x1'):
        rectified_camera(LEFT, 320, 240)


def test_b5_distortion_without_rectification_is_noticed():
    distorted = replace(LEFT, d=(0.1, 0.0, 0.0, 0.0, 0.0))
    assert looks_unrectified(distorted)
    assert not looks_unrectified(with_p(distorted, fx=450.0))  # P differs from K: a rectified topic
    assert not looks_unrectified(LEFT)


@pytest.mark.parametrize(
    ('left', 'right', 'message'),
    [
        (LEFT, with_p(RIGHT, tx=0.0), r'p\[3\] is 0; expected -fx \* baseline'),
        (LEFT, with_p(RIGHT, tx=60.0), r'p\[3\] is 60; expected'),
        (LEFT, with_p(RIGHT, tx=float('nan')), r'p\[3\] is nan'),
        (RIGHT, LEFT, r'swapped. Exchange them'),
        (LEFT, replace(RIGHT, p=ZERO_P), r'right camera_info\.p is all zero; expected the baseline'),
        (LEFT, with_p(RIGHT, cy=260.0), r'differ in cy \(240 and 260\).*set rectify if the images are raw'),
        (LEFT, with_p(RIGHT, fx=520.0), r'differ in fx'),
        (LEFT, replace(RIGHT, width=320), r'right image is 640x480 but its camera_info describes 320x480'),
    ],
)
def test_b7_a_pair_without_metres_is_refused(left, right, message):
    with pytest.raises(BadCameraInfo, match=message):
        stereo_rig(left, right, 640, 480)


@given(
    width=st.integers(16, 2000),
    height=st.integers(16, 2000),
    scale=st.floats(0.1, 4.0),
    u=st.floats(0, 1),
    v=st.floats(0, 1),
)
def test_resizing_keeps_the_ray_of_every_image_point(width, height, scale, u, v):
    camera = Camera(width, height, 0.9 * width, 0.8 * width, 0.45 * width, 0.55 * height)
    small = camera.resized(max(1, round(width * scale)), max(1, round(height * scale)))
    # The same place, as a share of the image, in both pixel grids; pixel centres are at whole numbers.
    big_x, small_x = u * camera.width - 0.5, u * small.width - 0.5
    big_y, small_y = v * camera.height - 0.5, v * small.height - 0.5
    np.testing.assert_allclose((big_x - camera.cx) / camera.fx, (small_x - small.cx) / small.fx, atol=1e-9)
    np.testing.assert_allclose((big_y - camera.cy) / camera.fy, (small_y - small.cy) / small.fy, atol=1e-9)
    back = small.resized(width, height)
    np.testing.assert_allclose([back.fx, back.fy, back.cx, back.cy], [camera.fx, camera.fy, camera.cx, camera.cy])
