import numpy as np

from depth_ros.stages.network_input import network_input

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_without_a_resize_it_is_the_formula():
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    expected = ((image / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(network_input(image, 20, 12, MEAN, STD), expected, atol=1e-5)


def test_a_uniform_colour_survives_a_resize_in_its_channel():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:] = (255, 0, 51)
    tensor = network_input(image, 14, 28, (0, 0, 0), (1, 1, 1))
    assert tensor.shape == (1, 3, 28, 14)
    np.testing.assert_allclose(tensor[0, :, 5, 5], [1.0, 0.0, 0.2], atol=1e-5)
