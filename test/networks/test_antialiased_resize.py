"""Resizing with antialiasing gives the values of Pillow."""

import cv2
import numpy as np
import pytest

from depth_ros.networks.antialiased_resize import resize_antialiased
from depth_ros.networks.input_placement import resize_image

Image = pytest.importorskip('PIL.Image')
FILTERS = {'linear': Image.Resampling.BILINEAR, 'lanczos': Image.Resampling.LANCZOS}


def picture(width, height):
    # Pillow also limits the values to 0 … 255 between the axes, which full contrast would show.
    return np.random.default_rng(3).integers(70, 190, (height, width, 3), np.uint8)


@pytest.mark.parametrize('name', FILTERS)
@pytest.mark.parametrize('size', [(64, 19), (124, 37), (150, 50), (90, 60), (1, 1)])
def test_an_image_is_resized_as_by_pillow(name, size):
    image = picture(124, 37)
    expected = np.asarray(Image.fromarray(image).resize(size, FILTERS[name])).astype(np.float32)
    found = resize_antialiased(image, size, name)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 255
    np.testing.assert_allclose(found, expected, atol=1.2)  # Pillow rounds to 8 bits after each axis


def test_grey_images_and_fields_are_resized_too():
    field = picture(80, 60)[..., 0].astype(np.float32) - 300
    expected = np.asarray(Image.fromarray(field).resize((31, 20), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resize_antialiased(field, (31, 20), 'linear'), expected, rtol=1e-5)


def test_enlarging_with_antialiasing_is_ordinary_linear_interpolation():
    image = picture(40, 30)
    expected = cv2.resize(image, (70, 55), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resize_image(image, (70, 55), 'linear_antialiased'), expected)
