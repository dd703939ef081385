"""Models of two files, such as Fast-FoundationStereo: they are joined into one file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from depth_ros.errors import BadManifest, ModelLoadError, ModelMismatch
from depth_ros.networks.catalog import find_manifest, model_file
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions
from depth_ros.pipeline import stereo_estimator
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.types import Camera, StereoFrame, StereoRig

GROUPS, DISPARITIES, WIDTH, HEIGHT = 4, 6, 128, 64
MANIFEST = f"""schema: 1
id: pair
family: pair
task: stereo
license: {{code: Apache-2.0, weights: Apache-2.0, commercial: true}}
artifact: {{source: written by the test, file: [first.onnx, second.onnx]}}
inputs: [{{name: left, role: left}}, {{name: right, role: right}}]
preprocess:
  resize: {{mode: stretch, width: {WIDTH}, height: {HEIGHT}}}
  normalize: {{scale: 1.0, mean: [127.0, 127.0, 127.0], std: [64.0, 64.0, 64.0]}}
outputs: [{{name: disp, role: raw, layout: N1HW}}]
decode: {{kind: disparity}}
needs: [fx, baseline]
bridge: {{left: features_left, right: features_right, output: volume}}
"""


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def write(path, nodes, inputs, outputs, constants=(), opset=17):
    initializers = [numpy_helper.from_array(array, name) for name, array in constants]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8), path)


def first(path, half=False, opset=17):
    """Write features at a quarter of the size: sixteen random patterns of 4x4 pixels."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weight = np.random.default_rng(0).normal(size=(16, 3, 4, 4)).astype(np.float32)
    nodes = []
    for side in ('left', 'right'):
        nodes.append(helper.make_node('Conv', [side, 'weight'], [f'conv_{side}'], strides=[4, 4]))
        nodes.append(helper.make_node('Cast', [f'conv_{side}'], [f'features_{side}'], to=kind))
    images = [value(side, [1, 3, HEIGHT, WIDTH]) for side in ('left', 'right')]
    features = [value(f'features_{side}', [1, 16, HEIGHT // 4, WIDTH // 4], kind) for side in ('left', 'right')]
    write(path, nodes, images, features, [('weight', weight)], opset)


def second(path, opset=17):
    """Write the best disparity of the volume, at the full size."""
    nodes = [
        helper.make_node('ReduceMean', ['volume'], ['mean'], axes=[1], keepdims=0),
        helper.make_node('ArgMax', ['mean'], ['best'], axis=1, keepdims=1),
        helper.make_node('Cast', ['best'], ['quarter'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['quarter', 'four'], ['pixels']),
        helper.make_node('Resize', ['pixels', '', 'scales'], ['plain'], mode='nearest'),
        helper.make_node('Mul', ['features_left', 'zero'], ['nothing']),
        helper.make_node('ReduceSum', ['nothing'], ['none'], keepdims=0),
        helper.make_node('Add', ['plain', 'none'], ['disp']),
    ]
    constants = [('four', np.float32(4)), ('scales', np.array([1, 1, 4, 4], np.float32)), ('zero', np.float32(0))]
    inputs = [
        value('features_left', [1, 16, HEIGHT // 4, WIDTH // 4]),
        value('volume', [1, GROUPS, DISPARITIES, HEIGHT // 4, WIDTH // 4]),
    ]
    write(
        path, nodes, inputs, [value('disp', [1, 1, HEIGHT, WIDTH])], [(n, np.asarray(a)) for n, a in constants], opset
    )


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    folder = tmp_path / 'pair'
    folder.mkdir()
    (folder / 'pair.yaml').write_text(MANIFEST)
    first(folder / 'first.onnx')
    second(folder / 'second.onnx')
    return folder


def images(disparity):
    wide = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH + 40, 3), np.uint8)
    left = wide[:, :WIDTH]
    return left, np.ascontiguousarray(wide[:, disparity : disparity + WIDTH])


@pytest.mark.parametrize('half', [False, True])
def test_two_files_and_the_correlation_between_them_measure_a_known_disparity(pair, half):
    first(pair / 'first.onnx', half)
    estimator = stereo_estimator(StereoSettings(model=str(pair / 'pair.yaml')))
    camera = Camera(WIDTH, HEIGHT, 100.0, 100.0, 64.0, 32.0)
    left, right = images(12)
    found = estimator.estimate(StereoFrame(left, right, StereoRig(camera, 64.0, 0.1))).disparity_px
    inside = found[:, 16:]
    assert np.isfinite(inside).all() and np.mean(inside == 12.0) > 0.97


def test_the_volume_is_the_normalised_correlation_of_every_group(pair):
    manifest, folder = find_manifest(str(pair / 'pair.yaml'))
    joined = onnx.load(model_file(manifest, folder))
    shape = [1, GROUPS, DISPARITIES, HEIGHT // 4, WIDTH // 4]
    joined.graph.output.extend(
        [value('second/volume', shape), *(value(f'first/features_{s}', None) for s in ('left', 'right'))]
    )
    onnx.save(joined, pair / 'opened.onnx')
    left, right = (p.transpose(2, 0, 1)[None].astype(np.float32) - 127 for p in images(8))
    found = OnnxRuntime(pair / 'opened.onnx', RuntimeOptions('cpu')).infer({'left': left, 'right': right})
    a, b = (found[f'first/features_{s}'][0].reshape(GROUPS, 4, HEIGHT // 4, WIDTH // 4) for s in ('left', 'right'))
    expected = np.zeros(shape[1:])
    for d in range(DISPARITIES):
        for x in range(d, WIDTH // 4):
            lengths = np.linalg.norm(a[..., x], axis=1) * np.linalg.norm(b[..., x - d], axis=1)
            expected[:, d, :, x] = (a[..., x] * b[..., x - d]).sum(axis=1) / (lengths + 1e-5)
    np.testing.assert_allclose(found['second/volume'][0], expected, atol=1e-5)


def test_it_is_joined_once_and_again_when_a_file_changes(pair):
    manifest, folder = find_manifest(str(pair / 'pair.yaml'))
    joined = model_file(manifest, folder)
    made = joined.stat().st_mtime_ns
    assert model_file(manifest, folder) == joined and joined.stat().st_mtime_ns == made
    first(pair / 'first.onnx', half=True)
    assert model_file(manifest, folder) != joined
    assert not list(joined.parent.glob('*.part'))


@pytest.mark.parametrize(
    ('damage', 'error', 'text'),
    [
        (lambda p: (p / 'second.onnx').unlink(), ModelLoadError, r'second\.onnx does not exist'),
        (lambda p: (p / 'second.onnx').write_bytes(b'\x08\x99nonsense'), ModelLoadError, 'cannot be joined'),
        (lambda p: second(p / 'second.onnx', opset=16), ModelMismatch, r"opsets \{'': 17\} and \{'': 16\}"),
        (
            lambda p: second(p / 'first.onnx'),
            ModelMismatch,
            'do not match: the inputs of the second are features_left, volume',
        ),
    ],
)
def test_files_that_do_not_match_are_refused(pair, damage, error, text):
    damage(pair)
    manifest, folder = find_manifest(str(pair / 'pair.yaml'))
    with pytest.raises(error, match=text):
        model_file(manifest, folder)


def test_two_files_need_a_bridge_and_one_file_none(pair):
    for text in (MANIFEST.partition('bridge:')[0], MANIFEST.replace('[first.onnx, second.onnx]', 'first.onnx')):
        (pair / 'pair.yaml').write_text(text)
        with pytest.raises(BadManifest, match='two files with a bridge'):
            find_manifest(str(pair / 'pair.yaml'))
