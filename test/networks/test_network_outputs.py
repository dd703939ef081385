"""Outputs besides depth: other names, confidence, sky, and limits of disparity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_scene import camera, scene_runtime, true_depth

from depth_ros.networks.decode_outputs import decode, disparity
from depth_ros.networks.input_placement import plan
from depth_ros.networks.manifest_reader import read_manifest
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.networks.tensor_check import check_tensors
from depth_ros.pipeline import mono_depth_map
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import DepthMap, Frame

MODELS = Path(__file__).parents[2] / 'config/models'
SIZE = (320, 240)
IMAGE = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)


def manifest(name):
    return read_manifest(MODELS / f'{name}.yaml')


def network(name, **changed_outputs):
    """Return a network that sees the scene; the named outputs are multiplied by an array of the image's rows."""
    described = manifest(name)
    placement = plan(described.preprocess, SIZE)
    runtime = scene_runtime(described, SIZE, fixed=None if described.artifact.dynamic else placement.size)
    compute = runtime._compute

    def changed(tensors):
        found = compute(tensors)
        for output, rows in changed_outputs.items():
            axis = next(o.layout for o in described.outputs if o.name == output).index('H')
            height = found[output].shape[axis]
            values = np.interp(np.arange(height), np.arange(len(rows)) * height / len(rows), rows)
            found[output] = found[output] * values.reshape([-1 if i == axis else 1 for i in range(found[output].ndim)])
            found[output] = found[output].astype(np.float32)
        return found

    runtime._compute = changed
    return MonoNetwork(described, runtime)


@pytest.mark.parametrize('name', ['metric_scale', 'scale'])
def test_moge_is_metric_with_both_published_names_of_its_scale(name):
    described = manifest('moge-2-small')
    renamed = replace(
        described,
        outputs=tuple(replace(o, name=name) if o.role == 'scale' else o for o in described.outputs),
    )
    runtime = scene_runtime(renamed, SIZE)
    assert {o.name for o in check_tensors(described, runtime).outputs} >= {name, 'points', 'mask'}
    found = MonoNetwork(described, runtime).estimate(Frame(IMAGE, camera(*SIZE)))
    assert found.space == 'metric_depth'
    np.testing.assert_allclose(found.values, true_depth(camera(*SIZE)), rtol=2e-3)


def test_a_file_without_any_known_name_of_an_output_is_refused_with_the_first_name():
    from depth_ros.errors import ModelMismatch

    described = manifest('moge-2-small')
    other = replace(
        described,
        outputs=tuple(replace(o, name='size', also=()) if o.role == 'scale' else o for o in described.outputs),
    )
    with pytest.raises(ModelMismatch, match='output metric_scale: 1 axes N; the file has none with this name'):
        MonoNetwork(described, scene_runtime(other, SIZE))


def test_the_confidence_of_unidepth_falls_with_the_error_that_it_expects():
    # The scene's network writes an error factor of 1.25; the lower rows multiply it by 2.
    found = network('unidepth-v2-small', confidence=[1.0, 1.0, 2.0, 2.0]).estimate(Frame(IMAGE, camera(*SIZE)))
    np.testing.assert_allclose(found.confidence[:50], 1 / 1.25, rtol=1e-4)
    np.testing.assert_allclose(found.confidence[-50:], 1 / 2.5, rtol=1e-4)


@pytest.mark.parametrize(
    ('name', 'output'), [('unidepth-v2-small', 'confidence'), ('moge-2-small', 'mask')]
)  # fmt: skip
def test_min_confidence_removes_pixels_of_networks_with_confidence(name, output):
    rows = [1.0, 1.0, 2.0, 2.0] if output == 'confidence' else [1.0, 1.0, 0.65, 0.65]
    estimator = network(name, **{output: rows})
    frame = Frame(IMAGE, camera(*SIZE))
    unfiltered = mono_depth_map(frame, estimator, MonoSettings(model=name))
    filtered = mono_depth_map(frame, estimator, MonoSettings(model=name, filter_min_confidence=0.7))
    assert isinstance(filtered, DepthMap) and isinstance(unfiltered, DepthMap)
    assert np.isfinite(unfiltered.depth_m).all()
    assert np.isfinite(filtered.depth_m[:50]).all() and np.isnan(filtered.depth_m[-50:]).all()


def test_models_with_confidence_state_what_it_means():
    for described in map(read_manifest, MODELS.glob('*.yaml')):
        roles = {output.role for output in described.outputs}
        assert bool(roles & {'confidence', 'error_factor', 'valid_prob'}) == bool(described.confidence), described.id


@pytest.mark.parametrize('name', ['depth-anything-3-metric-large', 'depth-anything-3-mono-large'])
def test_depth_beside_the_sky_is_not_mixed_with_that_of_the_sky(name):
    described = manifest(name)
    placement = plan(described.preprocess, SIZE)
    width, height = placement.size
    for horizon in range(height // 2, height // 2 + 8):  # between the rows of the image at different distances
        depth = np.full((1, 1, height, width), 150.0, np.float32)  # what the network writes for sky
        depth[..., horizon:, :] = 2.0
        sky = (depth > 100).astype(np.float32)
        found = decode(described, {'depth': depth, 'sky': sky}, placement, camera(*SIZE)).values
        assert np.isposinf(found[: SIZE[1] // 2 - 2]).all()
        below = found[np.isfinite(found)]
        assert below.size > 0.4 * found.size
        np.testing.assert_allclose(below, found[-1, 0], rtol=1e-5)


def test_negative_disparity_of_fast_foundation_stereo_counts_as_infinity():
    described = manifest('fast-foundation-stereo')
    placement = plan(described.preprocess, SIZE)
    raw = np.full((1, 1, placement.size[1], placement.size[0]), -3.0, np.float32)
    raw[..., placement.size[1] // 2 :, :] = 20.0
    values, _ = disparity(described, {'disp': raw}, placement)
    assert (values[:100] == 0).all()
    np.testing.assert_allclose(values[-50:, 60:], 20 / placement.scale_x, rtol=1e-5)
