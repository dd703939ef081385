"""Every kind of output, every resize rule and every shipped manifest recovers a known scene."""

from pathlib import Path

import numpy as np
import pytest
from models_scene import camera, scene_runtime, true_depth

from depth_ros.networks.input_placement import plan
from depth_ros.networks.manifest import (
    Artifact,
    Decode,
    InputTensor,
    License,
    Manifest,
    Normalize,
    OutputTensor,
    Pad,
    Preprocess,
    Resize,
)  # fmt: skip
from depth_ros.networks.manifest_reader import read_manifest
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.types import Frame, StereoFrame, StereoRig

MODELS = Path(__file__).parents[2] / 'config/models'
SHIPPED = [read_manifest(path) for path in sorted(MODELS.glob('*.yaml'))]
IMAGE = (330, 250)

RULES = {
    'none': Preprocess(Resize('none'), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'stretch': Preprocess(Resize('stretch', 256, 256), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'lower_bound': Preprocess(Resize('lower_bound', 210, 210, 14), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'upper_bound': Preprocess(Resize('upper_bound', 256, 256, 32), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'minimal': Preprocess(Resize('minimal', 384, 256, 32), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'longest': Preprocess(Resize('longest', 252, multiple_of=14), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'width': Preprocess(Resize('width', 252, multiple_of=14), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)),
    'letterbox': Preprocess(Resize('letterbox', 300, 300), Normalize(1.0, (0.0,) * 3, (1.0,) * 3), Pad(value=(120.0,) * 3)),
    'pixel_budget': Preprocess(
        Resize('pixel_budget', multiple_of=14, pixels=(100_000, 120_000)), Normalize(1 / 255, (0.0,) * 3, (1.0,) * 3)
    ),
    'pad': Preprocess(Resize('none'), Normalize(1.0, (0.0,) * 3, (1.0,) * 3), Pad('replicate', multiple_of=32)),
    'pad top right': Preprocess(
        Resize('none'), Normalize(1.0, (0.0,) * 3, (1.0,) * 3), Pad(anchor='bottom_left', multiple_of=48, after_normalize=True)
    ),
    'reflect before': Preprocess(
        Resize('minimal', 384, 256, 32, align_corners=True), Normalize(1 / 255, (0.5,) * 3, (0.5,) * 3), reflect_before=3.0
    ),
}  # fmt: skip
KINDS = {
    'metric_depth': Decode('metric_depth'),
    'affine_inverse_depth': Decode('affine_inverse_depth'),
    'affine_inverse_depth, fixed': Decode('affine_inverse_depth', scale=0.003, shift=0.01),
    'affine_depth': Decode('affine_depth'),
    'scale_invariant_depth': Decode('scale_invariant_depth'),
    'canonical_depth': Decode('canonical_depth', canonical_focal=1000.0),
    'canonical_inverse_depth': Decode('canonical_inverse_depth'),
    'sigmoid_disparity': Decode('sigmoid_disparity', min_depth=0.1, max_depth=100.0, scale=5.4),
    'point_map': Decode('point_map'),
    'affine_point_map': Decode('affine_point_map'),
    'disparity': Decode('disparity'),
    'disparity, negative': Decode('disparity', sign=-1),
}
NEEDS = {
    'affine_inverse_depth': ('scale_shift',), 'affine_depth': ('scale_shift',), 'scale_invariant_depth': ('scale',),
    'canonical_depth': ('fx',), 'canonical_inverse_depth': ('fx',), 'affine_point_map': ('K',),
}  # fmt: skip


def manifest_for(kind, preprocess):
    decode = KINDS[kind]
    stereo = decode.kind == 'disparity'
    inputs = (
        (InputTensor('left', 'left'), InputTensor('right', 'right')) if stereo else (InputTensor('image', 'image'),)
    )
    points = 'point_map' in decode.kind
    outputs = [OutputTensor('out', 'points' if points else 'raw', 'NHW3' if points else 'N1HW')]
    if decode.kind == 'affine_point_map':
        outputs.append(OutputTensor('metric_scale', 'scale', 'N'))
    needs = ('fx', 'baseline') if stereo else NEEDS.get(kind, ())
    return Manifest(
        1, 'test', 'test', 'stereo' if stereo else 'mono', License('', '', True), Artifact('test'), inputs, preprocess,
        tuple(outputs), decode, needs,
    )  # fmt: skip


def image(size=IMAGE):
    return np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)


def estimate(manifest, runtime, size=IMAGE, cam='given'):
    """Return depth in metres and the true depth; an unknown scale and shift are fitted to the true depth."""
    view = camera(*size)
    truth = true_depth(view)
    if manifest.task == 'stereo':
        frame = StereoFrame(image(size), image(size), StereoRig(view, view.cx, 0.1))
        raw = StereoNetwork(manifest, runtime).estimate(frame)
        return view.fx * 0.1 / raw.disparity_px, truth
    prompt_m = truth if manifest.prompt_size else None
    frame = Frame(image(size), view if cam == 'given' else cam, prompt_m=prompt_m)
    found = MonoNetwork(manifest, runtime).estimate(frame)
    values = found.values
    if found.space == 'metric_depth':
        return values, truth
    target = 1 / truth if found.space == 'relative_inverse_depth' else truth
    slope, offset = np.polyfit(values.reshape(-1)[::17], target.reshape(-1)[::17], 1)
    if manifest.needs == ('scale',):
        assert abs(offset) < 1e-2  # only the scale is unknown
    fitted = slope * values + offset
    return 1 / fitted if found.space == 'relative_inverse_depth' else fitted, truth


def assert_recovered(depth, truth, border=0.04):
    """Compare depth except near the border, where an output cannot be interpolated."""
    y, x = (int(border * side) + 2 for side in truth.shape)
    inner = (slice(y, -y), slice(x, -x))
    known = np.isfinite(depth[inner])
    assert known.mean() > 0.9
    np.testing.assert_allclose(depth[inner][known], truth[inner][known], rtol=2e-3)
    assert np.median(np.abs(depth[inner] / truth[inner] - 1)[known]) < 2e-4


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_recovers_the_scene_through_every_resize_rule(kind, rule):
    manifest = manifest_for(kind, RULES[rule])
    assert_recovered(*estimate(manifest, scene_runtime(manifest, IMAGE)))


@pytest.mark.parametrize('ratio', [0.5, 0.25])
@pytest.mark.parametrize('kind', ['metric_depth', 'disparity', 'canonical_depth'])
def test_an_output_at_a_fraction_of_the_input_is_decoded(kind, ratio):
    manifest = manifest_for(kind, RULES['stretch'])
    assert_recovered(*estimate(manifest, scene_runtime(manifest, IMAGE, ratio=ratio)), border=0.1)


@pytest.mark.parametrize('manifest', SHIPPED, ids=lambda m: m.id)
def test_every_shipped_manifest_decodes_its_network_s_output(manifest):
    size = (640, 480)
    placement = plan(manifest.preprocess, size)
    runtime = scene_runtime(manifest, size, fixed=None if manifest.artifact.dynamic else placement.size)
    assert_recovered(*estimate(manifest, runtime, size))


@pytest.mark.parametrize('kind', ['canonical_depth', 'affine_point_map', 'canonical_inverse_depth'])
def test_without_intrinsics_depth_that_needs_them_is_not_metric_and_lists_them_as_lacking(kind):
    manifest = manifest_for(kind, RULES['stretch'])
    found = MonoNetwork(manifest, scene_runtime(manifest, IMAGE)).estimate(Frame(image(), None))
    assert found.space != 'metric_depth'
    assert found.lacks == NEEDS[kind]


def test_the_estimated_field_of_view_replaces_missing_intrinsics():
    manifest = next(m for m in SHIPPED if m.id == 'depth-pro')
    size = (640, 480)
    runtime = scene_runtime(manifest, size, fixed=(1536, 1536))
    assert_recovered(*estimate(manifest, runtime, size, cam=None))


def test_sky_is_inf_and_masked_pixels_are_nan():
    import dataclasses

    base = manifest_for('metric_depth', RULES['stretch'])
    outputs = (
        *base.outputs,
        OutputTensor('sky', 'sky', 'NHW', sky_if_ge=0.3),
        OutputTensor('mask', 'valid_prob', 'NHW', valid_if_gt=0.5),
    )
    manifest = dataclasses.replace(base, outputs=outputs)
    runtime = scene_runtime(manifest, IMAGE)
    compute = runtime._compute

    def with_masks(tensors):
        found = compute(tensors)
        height = found['sky'].shape[1]
        found['sky'][:, : height // 4] = 1.0
        found['mask'][:, -height // 4 :] = 0.0
        return found

    runtime._compute = with_masks
    values = MonoNetwork(manifest, runtime).estimate(Frame(image(), camera(*IMAGE))).values
    assert np.isposinf(values[:50]).all() and np.isnan(values[-50:]).all() and np.isfinite(values[80:160]).all()


def test_a_network_keeps_its_input_size_when_images_change():
    manifest = manifest_for('metric_depth', RULES['lower_bound'])
    shapes = set()
    runtime = scene_runtime(manifest, IMAGE)
    network = MonoNetwork(manifest, runtime)
    compute = runtime._compute
    runtime._compute = lambda tensors: shapes.add(tensors['image'].shape) or compute(tensors)
    for size in (IMAGE, (250, 330), (640, 480)):
        shape = (size[1], size[0])
        assert network.estimate(Frame(image(size), camera(*size))).values.shape == shape
    assert len(shapes) == 1
