import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenes import pair, texture

from depth_ros.files.image_files import read_image_file
from depth_ros.stereo.exposure_difference import exposure_difference

DATA = Path(os.environ.get('DEPTH_ROS_DATA', 'data')) / 'stereo'


def distorted(image, gain=1.0, offset=0.0):
    return np.clip(np.round(image * np.float32(gain) + np.float32(offset)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize('gain', [0.5, 0.7, 0.9, 1.0, 1.1])
def test_the_gain_between_the_cameras_is_measured(motorcycle, gain):
    same = exposure_difference(motorcycle.left, motorcycle.right)
    other = exposure_difference(motorcycle.left, distorted(motorcycle.right, gain))
    assert other.brightness_ratio / same.brightness_ratio == pytest.approx(gain, rel=0.03)
    assert other.contrast_ratio / same.contrast_ratio == pytest.approx(gain, rel=0.03)


@pytest.mark.parametrize(
    ('gain', 'offset', 'differs'),
    [(1.0, 0, False), (0.9, 0, False), (1.1, 0, False), (1.0, 10, False), (0.5, 0, True), (0.7, 0, True),
     (1.4, 0, True), (2.0, 0, True), (0.7, 40, True)],
)  # fmt: skip
def test_differences_that_cost_matches_are_told_from_those_that_do_not(motorcycle, gain, offset, differs):
    assert exposure_difference(motorcycle.left, distorted(motorcycle.right, gain, offset)).costs_matches == differs


def test_a_low_contrast_at_the_same_brightness_is_a_difference():
    left = texture(120, 320) // 2 + 64
    difference = exposure_difference(left, distorted(left, 0.6, 0.4 * float(np.median(left))))
    assert difference.brightness_ratio == pytest.approx(1, abs=0.03)
    assert difference.contrast_ratio == pytest.approx(0.6, abs=0.03) and difference.costs_matches
    assert str(difference).endswith('and has 0.60 times its contrast')


def test_what_only_one_camera_sees_at_the_border_is_no_difference():
    left, right = pair(np.full((180, 320), 48.0, np.float32))
    left, right = left // 2, right // 2
    left[:, :48] = 255  # a bright wall that the right camera does not see
    right[:, -48:] = 0
    difference = exposure_difference(left, right)
    assert difference.brightness_ratio == pytest.approx(1, abs=0.03)
    assert difference.contrast_ratio == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ('left', 'right'), [(0, 0), (0, 255), (255, 0), (255, 255), (128, 128)], ids=lambda value: f'grey {value}'
)
@pytest.mark.parametrize('shape', [(16, 16), (16, 640), (480, 640, 3)])
def test_images_without_content_have_no_contrast_ratio(left, right, shape):
    difference = exposure_difference(np.full(shape, left, np.uint8), np.full(shape, right, np.uint8))
    if left == right == 0:
        assert difference is None
    else:
        assert np.isnan(difference.contrast_ratio) and difference.costs_matches == (left != right)
        assert 'contrast' not in str(difference)


def test_a_grey_and_a_colour_image_are_comparable(motorcycle):
    grey = cv2.cvtColor(motorcycle.right, cv2.COLOR_RGB2GRAY)
    assert exposure_difference(motorcycle.left, grey) == exposure_difference(motorcycle.left, motorcycle.right)


@pytest.mark.skipif(not DATA.is_dir(), reason='DEPTH_ROS_DATA is not set: no folder with real pairs')
def test_the_second_exposure_of_a_real_camera_is_reported_and_the_first_is_not():
    left, right, other = (
        read_image_file(DATA / f'adirondack/{name}.png') for name in ('left', 'right', 'right_other_exposure')
    )
    assert not exposure_difference(left, right).costs_matches
    difference = exposure_difference(left, other)
    assert difference.costs_matches and 0.5 < difference.brightness_ratio < 0.6
