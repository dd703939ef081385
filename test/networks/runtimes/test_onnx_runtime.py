"""Faults F of the fault list with real files and ONNX Runtime; the GPU faults as far as possible without a GPU."""

import threading
import time
from itertools import pairwise

import numpy as np
import onnx
import pytest
from models_scene import camera, scene_runtime
from onnx import helper
from tiny_model import MANIFEST, mean_of_channels, model, save

from depth_ros.errors import (
    DeviceLost,
    DeviceUnavailable,
    EstimatorError,
    InferenceError,
    ModelLoadError,
    ModelMismatch,
    OutOfMemory,
)
from depth_ros.files.model_cache import sha256
from depth_ros.networks.catalog import find_manifest, model_file
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions
from depth_ros.networks.self_check import read_reference, self_check_input
from depth_ros.types import Camera, Frame


def slow(path):
    """Write a graph that takes seconds: the same large convolution a hundred times."""
    weight = np.full((3, 3, 31, 31), 1e-6, np.float32)
    names = ['image', *(f't{i}' for i in range(200))]
    nodes = [helper.make_node('Conv', [a, 'weight'], [b], pads=[15] * 4) for a, b in pairwise(names)]
    nodes.append(helper.make_node('ReduceMean', [names[-1]], ['depth'], axes=[1]))
    return save(path, nodes, constants=[('weight', weight)])


@pytest.fixture
def folder(tmp_path):
    return model(tmp_path).parent


def load(folder):
    manifest, where = find_manifest(str(folder / 'tiny.yaml'))
    return MonoNetwork(manifest, OnnxRuntime(model_file(manifest, where)))


def test_a_real_file_gives_its_numbers_at_the_image_s_size(folder):
    image = np.full((100, 130, 3), (30, 60, 90), np.uint8)
    found = load(folder).estimate(Frame(image, None))
    assert found.space == 'metric_depth' and found.values.shape == (100, 130)
    np.testing.assert_allclose(found.values, 61.0, atol=1e-4)


@pytest.mark.parametrize(
    ('damage', 'text'),
    [
        (lambda p: p.unlink(), 'does not exist. Get or export it'),
        (lambda p: (p.unlink(), p.mkdir()), 'does not exist'),
        (lambda p: p.write_bytes(b''), r'\(0 bytes\) cannot be loaded'),
        (lambda p: p.write_bytes(np.random.default_rng(0).bytes(500)), 'cannot be loaded'),
        *((lambda p, n=n: p.write_bytes(p.read_bytes()[: int(p.stat().st_size * n)]), 'tiny.onnx') for n in (0.25, 0.5, 0.9, 0.99)),
    ],
)  # fmt: skip
def test_f1_a_damaged_file_is_refused_with_its_path_and_the_reason(folder, damage, text):
    damage(folder / 'tiny.onnx')
    with pytest.raises((ModelLoadError, ModelMismatch), match=text):
        load(folder)
    if (folder / 'tiny.onnx').is_dir():
        (folder / 'tiny.onnx').rmdir()
    mean_of_channels(folder / 'tiny.onnx')
    load(folder)  # a second attempt succeeds


def test_f2_flipped_bits_are_noticed_by_the_checksum(folder):
    path = folder / 'tiny.onnx'
    (folder / 'tiny.yaml').write_text(MANIFEST.replace('dynamic: true', f'dynamic: true, sha256: {sha256(path)}'))
    load(folder)
    damaged = bytearray(path.read_bytes())
    damaged[-40] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(ModelLoadError, match='has sha256 .* expected'):
        load(folder)


def test_f3_missing_external_data_is_refused(folder):
    model = onnx.load(folder / 'tiny.onnx')
    onnx.save(model, folder / 'tiny.onnx', save_as_external_data=True, location='weights.bin', size_threshold=0)
    load(folder)
    (folder / 'weights.bin').unlink()
    with pytest.raises(ModelLoadError, match=r'tiny\.onnx'):
        load(folder)


@pytest.mark.parametrize('unknown', [{'opset': 99}, {'operator': 'NoSuchOperator'}])
def test_f4_the_error_for_an_unknown_operator_or_opset_names_a_newer_runtime(folder, unknown):
    node = helper.make_node(unknown.get('operator', 'Identity'), ['image'], ['depth'])
    save(folder / 'tiny.onnx', [node], opset=unknown.get('opset', 17), out=(1, 3, 'h', 'w'))
    with pytest.raises(ModelLoadError, match='needs a newer onnxruntime'):
        load(folder)


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (
            ('name: image,', 'name: pixel_values,'),
            'input pixel_values: float32 NCHW with 3 channels; the file has none',
        ),
        (('role: image}', 'role: image, color: gray}'), 'with 1 channels; the file has float32 1x3x'),
        (('role: image}', 'role: image, dtype: float16}'), 'float16 NCHW with 3 channels; the file has float32'),
        (('name: depth,', 'name: predicted_depth,'), 'output predicted_depth: 4 axes N1HW; the file has none'),
        (('layout: N1HW', 'layout: NHW'), 'output depth: 3 axes NHW; the file has float32'),
    ],
)
def test_f5_a_file_that_differs_from_its_manifest_is_refused_with_a_list_of_differences(folder, change, text):
    (folder / 'tiny.yaml').write_text(MANIFEST.replace(*change))
    with pytest.raises(ModelMismatch, match=text):
        load(folder)


def test_f5_a_stereo_network_is_refused_for_one_image():
    manifest, _ = find_manifest('raft-stereo')
    with pytest.raises(ModelMismatch, match='is a stereo network; expected a mono network'):
        MonoNetwork(manifest, scene_runtime(manifest, (640, 480)))


def test_a_frozen_export_is_caught_at_load():
    manifest, _ = find_manifest('depth-anything-v2-small')
    with pytest.raises(ModelMismatch, match='output size is frozen'):
        MonoNetwork(manifest, scene_runtime(manifest, (640, 480), freeze=(518, 686)))


@pytest.mark.parametrize('device', ['cuda', 'tensorrt', 'openvino'])
def test_f6_an_unavailable_device_is_refused_or_replaced_as_configured(folder, device):
    path = folder / 'tiny.onnx'
    try:
        OnnxRuntime(path, RuntimeOptions(device=device))
    except DeviceUnavailable as error:
        assert device in str(error) and 'allow_fallback' in str(error)
        runtime = OnnxRuntime(path, RuntimeOptions(device=device, allow_fallback=True))
        assert 'CPUExecutionProvider' in runtime.device
    else:  # a machine that has it
        assert device[:4].lower() in OnnxRuntime(path, RuntimeOptions(device=device)).device.lower()


def test_a_run_can_be_cancelled_and_the_session_stays_usable(tmp_path):
    runtime = OnnxRuntime(slow(tmp_path / 'slow.onnx'))
    image = np.zeros((1, 3, 120, 160), np.float32)
    caught = []

    def run():
        try:
            runtime.infer({'image': image})
        except InferenceError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    runtime.cancel()
    thread.join(2.0)
    assert not thread.is_alive() and len(caught) == 1
    assert runtime.infer({'image': image[:, :, :16, :16]})['depth'].shape[-1] == 16


def test_f16_four_threads_on_one_session_get_the_same_numbers(folder):
    runtime = OnnxRuntime(folder / 'tiny.onnx')
    image = np.random.default_rng(0).random((1, 3, 60, 80), np.float32)
    expected, results = runtime.infer({'image': image})['depth'], []
    threads = [
        threading.Thread(target=lambda: results.append(runtime.infer({'image': image})['depth'])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(np.array_equal(r, expected) for r in results)


def fake_network(**faults):
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    return MonoNetwork(manifest, scene_runtime(manifest, (640, 480), **faults))


FRAME = Frame(np.zeros((480, 640, 3), np.uint8), camera(640, 480))


def test_f14_a_map_of_nan_is_refused_and_the_next_one_is_accepted():
    network = fake_network(nan_at=lambda n: n == 2)  # two runs check the file at load
    with pytest.raises(
        EstimatorError, match='returned NaN for 100% of the image; expected at most 50%. This happens in half precision'
    ):
        network.estimate(FRAME)
    assert np.isfinite(network.estimate(FRAME).values).all()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('rows', [1, 48])
def test_f14_nan_and_infinite_pixels_are_nan_and_the_others_are_unchanged(value, rows):
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    runtime = scene_runtime(manifest, (640, 480))
    network, whole = MonoNetwork(manifest, runtime), runtime.infer
    right = network.estimate(FRAME).values

    def spoiled(tensors):
        outputs = {name: output.copy() for name, output in whole(tensors).items()}
        for output in outputs.values():
            output[..., :rows, :] = value
        return outputs

    runtime.infer = spoiled
    values = network.estimate(FRAME).values
    assert not np.isfinite(values[0]).any() and not np.isinf(values).any()  # +Inf would mean free space
    known = np.isfinite(values)
    assert known.mean() > 0.8
    np.testing.assert_array_equal(values[known], right[known])


def test_f14_a_map_of_infinite_values_is_refused_like_one_of_nan():
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    runtime = scene_runtime(manifest, (640, 480))
    network, whole = MonoNetwork(manifest, runtime), runtime.infer
    runtime.infer = lambda tensors: {name: np.full_like(o, np.inf) for name, o in whole(tensors).items()}
    with pytest.raises(EstimatorError, match='This happens in half precision'):
        network.estimate(FRAME)


def test_f16_a_network_can_be_used_by_a_thread_that_did_not_load_it(folder):
    network = load(folder)
    image = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    frame, results = Frame(image, camera(130, 100)), []
    here = network.estimate(frame).values
    for _ in range(3):
        thread = threading.Thread(target=lambda: results.append(network.estimate(frame).values))
        thread.start()
        thread.join()
    assert len(results) == 3 and all(np.array_equal(result, here) for result in results)


@pytest.mark.parametrize(
    ('fault', 'error'), [('oom_at', OutOfMemory), ('lost_at', DeviceLost), ('fail_at', InferenceError)]
)
def test_f12_f13_faults_of_the_device_raise_their_own_errors(fault, error):
    network = fake_network(**{fault: lambda n: n == 2})
    with pytest.raises(error):
        network.estimate(FRAME)


@pytest.mark.parametrize(('factor', 'precision', 'accepted'), [
    (1.004, 'fp32', True), (1.006, 'fp32', False), (1.019, 'fp16', True), (1.021, 'fp16', False), (np.nan, 'fp16', False),
])  # fmt: skip
def test_f18_the_stored_image_is_compared_with_full_precision(factor, precision, accepted):
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    runtime = scene_runtime(manifest, (640, 480))
    _, tensors = self_check_input(manifest, None)
    reference = runtime.infer(tensors)['predicted_depth']
    off = scene_runtime(manifest, (640, 480))
    infer = off.infer
    off.infer = lambda tensors: {name: value * np.float32(factor) for name, value in infer(tensors).items()}
    if accepted:
        assert f'{precision} within {abs(factor - 1):.2%}' in MonoNetwork(manifest, off, reference, precision).name
    else:
        with pytest.raises(ModelMismatch, match=f'in {precision}: the output for the self-check image'):
            MonoNetwork(manifest, off, reference, precision)


@pytest.mark.parametrize('content', [None, b'', b'PK nonsense'])
def test_a_missing_or_damaged_reference_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / 'x.npz').write_bytes(content)
    with pytest.raises(ModelLoadError, match=r'x\.npz cannot be read as a reference'):
        read_reference(tmp_path / 'x.npz')


@pytest.mark.parametrize(
    ('text', 'error'),
    [
        ('CUDA failure 2: out of memory ; GPU=0', OutOfMemory),
        ('bfc_arena.cc Failed to allocate memory for requested buffer of size 1073741824', OutOfMemory),
        ('AllocateRawInternal Available memory of 1024 is smaller than requested bytes of 4096', OutOfMemory),
        ('CUDA failure 719: cuMemcpyDtoH_v2', DeviceLost),
        ('CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR', InferenceError),
    ],
)
def test_f12_f13_errors_of_onnx_runtime_are_recognised_by_their_text(folder, text, error):
    def failing(*_):
        raise RuntimeError(text)

    runtime = OnnxRuntime(folder / 'tiny.onnx')
    runtime._session = type('Session', (), {'run': failing})()
    with pytest.raises(InferenceError) as caught:
        runtime.infer({'image': np.zeros((1, 3, 8, 8), np.float32)})
    assert type(caught.value) is error and str(caught.value) == f'tiny.onnx: {text}'


def test_f12_lack_of_memory_for_the_weights_is_not_reported_as_a_damaged_file(folder, monkeypatch):
    import onnxruntime

    def no_memory(*_, **__):
        raise RuntimeError('CUDA failure 2: out of memory')

    monkeypatch.setattr(onnxruntime, 'InferenceSession', no_memory)
    with pytest.raises(OutOfMemory, match=r'tiny\.onnx: CUDA failure 2'):
        load(folder)


@pytest.mark.parametrize('run', [0, 1])
def test_f19_a_failing_first_run_fails_at_load_not_at_the_first_frame(run):
    with pytest.raises(InferenceError):
        fake_network(fail_at=lambda n: n == run)


def test_inputs_of_another_shape_raise_an_inference_error(folder):
    runtime = OnnxRuntime(folder / 'tiny.onnx')
    with pytest.raises(InferenceError, match=r'tiny\.onnx: '):
        runtime.infer({'image': np.zeros((1, 4, 8, 8), np.float32)})


def test_a_metric_network_lacks_nothing_with_a_camera(folder):
    cam = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    assert load(folder).estimate(Frame(np.zeros((480, 640), np.uint8), cam)).lacks == ()
