from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import calibrations, texture

from depth_ros.errors import BadCameraInfo
from depth_ros.stages.rectify import rectify

IMAGE = texture(240, 320)
LEFT, _ = calibrations(320, 240)


def test_an_ideal_camera_is_unchanged():
    np.testing.assert_array_equal(rectify(IMAGE, LEFT), IMAGE)


def distort(image, calibration):
    """Return the raw image of a camera with distortion, from a rectified one."""
    k, d = np.reshape(calibration.k, (3, 3)), np.array(calibration.d)
    columns, rows = np.meshgrid(
        np.arange(image.shape[1], dtype=np.float32), np.arange(image.shape[0], dtype=np.float32)
    )
    raw = np.stack([columns, rows], -1).reshape(-1, 1, 2)
    if calibration.distortion_model == 'equidistant':
        points = cv2.fisheye.undistortPoints(raw, k, d[:4], None, k)
    else:
        points = cv2.undistortPoints(raw, k, d, None, k)
    seen = points.reshape(*image.shape, 2).astype(np.float32)
    return cv2.remap(image, seen[..., 0], seen[..., 1], cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ('model', 'd'),
    [
        ('plumb_bob', (-0.2, 0.05, 0.001, -0.001, 0.0)),
        ('rational_polynomial', (-0.2, 0.05, 0.001, -0.001, 0.01, 0.01, 0.0, 0.0)),
        ('equidistant', (0.02, 0.01, 0.0, 0.0)),
    ],
)
def test_distortion_is_removed(model, d):
    calibration = replace(LEFT, d=d, distortion_model=model)
    smooth = cv2.GaussianBlur(IMAGE, (0, 0), 3)
    restored = rectify(distort(smooth, calibration), calibration)
    inner = (slice(30, -30), slice(30, -30))
    assert np.abs(restored[inner].astype(int) - smooth[inner]).mean() < 1.0


def test_binning_and_roi_describe_the_image_that_is_given():
    cropped = IMAGE[40:200, 50:250]
    np.testing.assert_array_equal(rectify(cropped, replace(LEFT, roi=(50, 40, 200, 160))), cropped)


@pytest.mark.parametrize(
    ('calibration', 'message'),
    [
        (replace(LEFT, p=(0.0,) * 12), r'p\[0\] = 0; rectify: true requires'),
        (replace(LEFT, k=(float('nan'), *LEFT.k[1:])), 'k.0. = nan'),
        (replace(LEFT, distortion_model='thin_prism'), "'thin_prism'; expected one of plumb_bob"),
        (replace(LEFT, width=300), 'describes 300x240'),
    ],
)
def test_a_calibration_that_cannot_rectify_is_refused(calibration, message):
    with pytest.raises(BadCameraInfo, match=message):
        rectify(IMAGE, calibration)
