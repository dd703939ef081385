"""A measured low-resolution depth as an input of a network: size, unknown pixels, and what happens without it."""

from pathlib import Path

import numpy as np
import pytest
from tiny_model import PROMPTED, prompted_model

import depth_ros
from depth_ros.errors import BadManifest, MissingPrompt, ModelMismatch
from depth_ros.networks.manifest_reader import read_manifest
from depth_ros.networks.preprocess import prompt_planes
from depth_ros.types import DepthMap

SIZE = (16, 12)
IMAGE = np.full((120, 160, 3), 100, np.uint8)


def slope():
    return np.linspace(1, 3, SIZE[0], dtype=np.float32) * np.ones((SIZE[1], 1), np.float32)


def test_a_dense_prompt_of_the_right_size_is_passed_unchanged():
    np.testing.assert_array_equal(prompt_planes(slope(), SIZE)[0], slope())


def test_a_prompt_of_another_size_contains_measured_depths_only():
    two = np.where(np.arange(64) < 32, 1.0, 5.0).astype(np.float32) * np.ones((48, 1), np.float32)
    found = prompt_planes(two, SIZE)[0]
    assert found.shape == (12, 16) and set(found.ravel()) == {1.0, 5.0}
    assert (found[:, :8] == 1).all() and (found[:, 8:] == 5).all()


@pytest.mark.parametrize('unknown', [np.nan, np.inf, 0.0, -1.0])
def test_a_pixel_without_a_depth_gets_the_depth_of_the_nearest_one(unknown):
    sparse = np.full((12, 16), unknown, np.float32)
    sparse[3, 2], sparse[9, 13] = 1.5, 4.0
    found = prompt_planes(sparse, SIZE)[0]
    assert found[3, 2] == found[0, 0] == np.float32(1.5) and found[9, 13] == found[11, 15] == 4.0
    assert set(found.ravel()) == {1.5, 4.0}


@pytest.mark.parametrize('depth_m', [0.3, 2.0, 60.0])
def test_a_prompt_of_one_depth_still_has_a_range_to_normalise_by(depth_m):
    found = prompt_planes(np.full((12, 16), depth_m, np.float32), SIZE)
    assert found.min() < found.max()
    np.testing.assert_allclose(found, depth_m, rtol=1e-5)


def test_a_prompt_without_any_depth_is_an_error():
    with pytest.raises(MissingPrompt, match='no pixel of the prompt depth'):
        prompt_planes(np.full((12, 16), np.nan, np.float32), SIZE)


def test_the_prompt_of_the_python_interface_reaches_the_network_and_gives_metres(tmp_path):
    with depth_ros.MonoDepth(prompted_model(tmp_path), filter_edges=False) as mono:
        found = mono(IMAGE, prompt_m=slope())
        assert isinstance(found, DepthMap) and found.depth_m.shape == (120, 160)
        np.testing.assert_allclose(found.depth_m[60, [0, 159]], [1, 3], rtol=1e-3)
        with pytest.raises(MissingPrompt, match='needs a prompt depth and the frame has none'):
            mono(IMAGE)


@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        (', size: [16, 12]', '', 'needs its size'),
        ('  normalize:', '  pad: {multiple_of: 32}\n  normalize:', 'without padding'),
    ],
)
def test_a_manifest_whose_prompt_cannot_be_placed_is_refused(tmp_path, old, new, text):
    with pytest.raises(BadManifest, match=text):
        read_manifest(Path(prompted_model(tmp_path, PROMPTED.replace(old, new))))


def test_a_file_whose_prompt_has_three_channels_is_refused(tmp_path):
    with pytest.raises(ModelMismatch, match='input prompt'):
        depth_ros.MonoDepth(prompted_model(tmp_path, channels=3))
