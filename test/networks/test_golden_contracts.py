"""Every shipped manifest feeds its network, and reads its output, as the published code of the model does.

The expected values come from the published code, not from this package (``golden_contracts``).
"""

from pathlib import Path

import numpy as np
import pytest
from golden_contracts import (
    CONTRACTS,
    PICTURES,
    golden_camera,
    golden_case,
    golden_positions,
    golden_sizes,
    picture_pair,
    raw_output,
)

from depth_ros.networks.decode_outputs import decode, disparity
from depth_ros.networks.input_placement import plan
from depth_ros.networks.manifest_reader import read_manifest
from depth_ros.networks.preprocess import prepare

MODELS = Path(__file__).parents[2] / 'config/models'
MANIFESTS = {path.stem: read_manifest(path) for path in sorted(MODELS.glob('*.yaml'))}
PROTECTED_OTHERWISE = {'sim-indoor', 'fastdepth-nyu', 'prompt-depth-anything-vits'}
"""Networks without golden values: trained by this package, compared with an example of the authors, or compared with
transformers when exported."""
OTHER_FILES = {
    'depth-anything-3-metric-large-504': 'depth-anything-3-metric-large',
    'midas-v2.1-small-tflite': 'midas-v2.1-small',
    'raft-stereo-fast-torchscript': 'raft-stereo',
}
"""Manifests for another file of a model that has golden values: only names, layout and size may differ."""
OUTPUT_ENLARGED_LINEARLY = {
    # The authors enlarge the output with cubic interpolation, which overshoots at the edges of objects.
    'depth-anything-3-metric-large', 'depth-anything-3-mono-large', 'midas-v2.1-small', 'midas-v2.1-small-release',
    'midas-v3.1-swin2-tiny-256',
    # The authors shrink the output with antialiasing, which mixes the depth of objects and their background.
    'marigold-e2e-ft', 'marigold-lcm', 'unidepth-v1-large',
}  # fmt: skip
OUTPUT_NOT_ALIGNED_AT_CORNERS = {
    # The authors align the corners of the output, but not those of the input, so that the depth is displaced against
    # the image by up to half a network pixel.
    name for name in CONTRACTS if name.startswith('depth-anything-v2')
}  # fmt: skip
INTERPOLATED_BY_CHOICE = OUTPUT_ENLARGED_LINEARLY | OUTPUT_NOT_ALIGNED_AT_CORNERS
"""Manifests whose output is interpolated in another way than by the authors; only the interpolation may differ."""


@pytest.mark.parametrize('name', PICTURES)
def test_the_formulas_give_the_images_of_the_golden_values(name):
    left, right = picture_pair(name)
    expected = PICTURES[name]
    assert left.sum() == expected['sum_left'] and right.sum() == expected['sum_right']
    assert left[7, 11].tolist() == expected['pixel_7_11_left']


def test_every_shipped_manifest_is_compared_with_values_from_elsewhere():
    assert set(MANIFESTS) - PROTECTED_OTHERWISE - set(OTHER_FILES) == set(CONTRACTS)


@pytest.mark.parametrize('other', sorted(set(OTHER_FILES) & set(MANIFESTS)))
def test_another_file_of_a_model_keeps_its_normalisation_and_decoder(other):
    manifest, model = MANIFESTS[other], MANIFESTS[OTHER_FILES[other]]
    assert manifest.preprocess.normalize == model.preprocess.normalize
    assert manifest.decode == model.decode and manifest.needs == model.needs
    assert [each.color for each in manifest.inputs] == [each.color for each in model.inputs]
    limits = [[(o.role, o.sky_if_ge, o.valid_if_ge, o.valid_if_gt) for o in m.outputs] for m in (manifest, model)]
    assert limits[0] == limits[1]


@pytest.mark.parametrize('model', CONTRACTS)
def test_the_network_size_follows_the_published_rule(model):
    for width, height, *expected in golden_sizes(CONTRACTS[model]):
        found = plan(MANIFESTS[model].preprocess, (width, height))
        assert [*found.size, found.left, found.top, *found.resized] == expected, f'for {width}x{height}'


@pytest.mark.parametrize('model', CONTRACTS)
def test_the_input_tensors_are_those_of_the_published_code(model):
    manifest = MANIFESTS[model]
    for name in PICTURES:
        expected, _ = golden_case(CONTRACTS[model], name)
        left, right = picture_pair(name)
        placement = plan(manifest.preprocess, (left.shape[1], left.shape[0]))
        assert list(placement.border) == expected['reflected']
        tensors = prepare(manifest, placement, left, right, golden_camera(name))
        assert len(tensors) == len(expected['tensors'])
        for entry in expected['tensors']:
            tensor = tensors[entry['name']]
            assert str(tensor.dtype) == entry['dtype'] and list(tensor.shape) == entry['shape']
            if entry['role'] == 'scalar':
                assert tensor == entry['value']
            else:
                found = tensor[0][tuple(golden_positions(entry))]
                np.testing.assert_allclose(found, entry['values'], rtol=0, atol=entry['tolerance'], err_msg=name)


@pytest.mark.parametrize('model', CONTRACTS)
def test_the_output_is_decoded_as_in_the_published_code(model):
    tolerance = 'tolerance_relative_any_kernel' if model in INTERPOLATED_BY_CHOICE else 'tolerance_relative'
    for name in PICTURES:
        _, expected = golden_case(CONTRACTS[model], name)
        found = decoded_values(model, name, golden_camera(name))
        assert_as_expected(found, expected, expected.get('values_refocused', expected['values']), expected[tolerance])


@pytest.mark.parametrize('model', [m for m, c in CONTRACTS.items() if c['direction']])
def test_relative_depth_has_the_direction_of_the_published_code(model):
    name = next(iter(PICTURES))
    camera = golden_camera(name)
    placement = plan(MANIFESTS[model].preprocess, (camera.width, camera.height))
    found = decode(MANIFESTS[model], raw_outputs(model, name, placement), placement, camera)
    nearer = CONTRACTS[model]['direction'] == 'larger is nearer'
    assert found.space == ('relative_inverse_depth' if nearer else 'relative_depth')


@pytest.mark.parametrize('name', PICTURES)
def test_depth_pro_uses_its_own_field_of_view_without_intrinsics(name):
    _, expected = golden_case(CONTRACTS['depth-pro'], name)
    found = decoded_values('depth-pro', name, None)
    assert_as_expected(found, expected, expected['values_without_camera'], expected['tolerance_relative'])


@pytest.mark.parametrize('name', PICTURES)
def test_depth_pro_of_onnx_community_uses_its_own_focal_length_without_intrinsics(name):
    _, expected = golden_case(CONTRACTS['depth-pro-onnx-community'], name)
    found = decoded_values('depth-pro-onnx-community', name, None)
    assert_as_expected(found, expected, expected['values'], expected['tolerance_relative'])


def raw_outputs(model, name, placement):
    _, expected = golden_case(CONTRACTS[model], name)
    network_camera = placement.camera(golden_camera(name))
    return {raw['name']: raw_output(raw, placement.size, network_camera) for raw in expected['raw']}


def decoded_values(model, name, camera):
    """Return the decoded result of the raw outputs of an image, at the positions of the golden values."""
    manifest, size = MANIFESTS[model], (PICTURES[name]['width'], PICTURES[name]['height'])
    placement = plan(manifest.preprocess, size)
    tensors = raw_outputs(model, name, placement)
    assert set(tensors) <= {output.name for output in manifest.outputs}
    if manifest.task == 'stereo':
        values, _ = disparity(manifest, tensors, placement)
    else:
        values = decode(manifest, tensors, placement, camera).values
    return values[tuple(golden_positions(golden_case(CONTRACTS[model], name)[1]))]


def assert_as_expected(found, entry, expected, tolerance):
    sky = np.array([value == 'sky' for value in expected])
    invalid = np.array([value == 'invalid' for value in expected])
    np.testing.assert_array_equal(np.isposinf(found), sky)
    unknown = np.isnan(found)
    unknown[entry.get('outside_right', [])] = False  # either is correct there
    np.testing.assert_array_equal(unknown, invalid & ~np.isin(np.arange(len(found)), entry.get('outside_right', [])))
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], [v for v, k in zip(expected, known, strict=True) if k], rtol=tolerance)
