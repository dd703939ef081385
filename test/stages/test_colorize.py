import numpy as np
import pytest

from depth_ros.stages.colorize import colorize

RAMP = np.tile(np.linspace(1, 5, 200, dtype=np.float32), (50, 1))


def test_turbo_is_red_near_and_blue_far():
    image = colorize(RAMP, 'turbo').astype(int)
    near, far = image[0, 10], image[0, 150]
    assert near[0] > near[2] + 50
    assert far[2] > far[0] + 20


def test_grayscale_is_white_near_and_black_far():
    image = colorize(RAMP, 'grayscale')
    assert image[0, 0].min() > 250
    assert image[0, -1].max() < 5


def test_viridis_is_yellow_near_and_violet_far():
    image = colorize(RAMP, 'viridis').astype(int)
    assert image[0, 0, 0] > 200 and image[0, 0, 2] < 80
    assert image[0, -1, 2] > image[0, -1, 1]


def test_unknown_is_black_beyond_range_far_and_too_close_near():
    depth_m = RAMP.copy()
    depth_m[0, :3] = np.nan, np.inf, -np.inf
    image = colorize(depth_m, 'grayscale')
    assert image[0, 0].max() == 0
    assert image[0, 1].max() == 0
    assert image[0, 2].min() == 255


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 2.0])
@pytest.mark.parametrize('name', ['turbo', 'viridis', 'grayscale'])
def test_a11_a_map_of_one_value_is_colored(value, name):
    assert colorize(np.full((4, 5), value, np.float32), name).shape == (4, 5, 3)
