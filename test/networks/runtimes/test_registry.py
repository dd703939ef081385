"""The registry of runtimes, and the protocol that every registered runtime must satisfy."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from onnx import helper
from tiny_model import MANIFEST, model, save

from depth_ros.errors import InferenceError, ModelLoadError
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.load_network import load_network
from depth_ros.networks.manifest import RuntimeSupport
from depth_ros.networks.runtimes.fake_runtime import FakeRuntime
from depth_ros.networks.runtimes.onnx_runtime import RuntimeOptions
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.networks.runtimes.registry import RUNTIMES, registered_runtime
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.settings.node_settings import MonoSettings

IMAGE = {'image': np.full((1, 3, 48, 64), 6.0, np.float32)}


def with_backends(folder, backends):
    return model(folder, f'{MANIFEST}runtime: {{backends: [{backends}]}}\n')


def test_the_first_registered_name_is_chosen():
    names = ('tensorrt', *RUNTIMES)
    assert registered_runtime(names, 'net') == next(iter(RUNTIMES))


@pytest.mark.parametrize(('names', 'text'), [(('tensorrt', 'tflite'), 'is tensorrt, tflite'), ((), 'is empty')])
def test_the_error_for_names_that_are_not_registered_lists_the_registered_runtimes(names, text):
    with pytest.raises(ModelLoadError) as caught:
        registered_runtime(names, 'net')
    message = str(caught.value)
    assert message.startswith(f'net: runtime.backends of its manifest {text}; expected one of')
    assert all(name in message for name in RUNTIMES)


def test_a_network_for_an_unregistered_runtime_is_refused_before_its_file_is_opened(tmp_path, opened_backends):
    path = with_backends(tmp_path, 'tensorrt')
    with pytest.raises(ModelLoadError, match=r'tiny: runtime\.backends of its manifest is tensorrt; .* onnxruntime'):
        load_network(MonoSettings(model=str(path)), NO_LISTENER)
    assert not opened_backends


def test_a_network_is_opened_with_the_registered_runtime_that_its_manifest_names(tmp_path, monkeypatch):
    info = (TensorInfo('image', 'float32', (1, 3, None, None)),), (TensorInfo('depth', 'float32', (1, 1, None, None)),)
    opened = []

    def open_fake(path, options, engines=None, outputs=None):
        opened.append((path.name, options.device, tuple(outputs)))
        return FakeRuntime(*info, lambda tensors: {'depth': tensors['image'][:, :1]})

    monkeypatch.setitem(RUNTIMES, 'fake', open_fake)
    path = with_backends(tmp_path, 'fake, onnxruntime')
    loaded = load_network(MonoSettings(model=str(path), device='cpu'), NO_LISTENER)
    assert isinstance(loaded.runtime, FakeRuntime) and opened == [('tiny.onnx', 'cpu', ('depth',))]


def test_manifests_without_the_key_run_with_onnx_runtime():
    manifest, _ = find_manifest('sim-indoor')
    assert manifest.runtime == RuntimeSupport() and registered_runtime(manifest.runtime.backends, 'x') == 'onnxruntime'


@pytest.fixture(params=list(RUNTIMES))
def runtime(request, tmp_path):
    opened = RUNTIMES[request.param](model(tmp_path).with_suffix('.onnx'), RuntimeOptions('cpu'))
    yield opened
    opened.close()


def test_a_runtime_describes_its_device_and_tensors(runtime):
    assert runtime.device and isinstance(runtime.device, str) and runtime.engines is None
    assert runtime.inputs == (TensorInfo('image', 'float32', (1, 3, None, None)),)
    assert runtime.outputs == (TensorInfo('depth', 'float32', (1, 1, None, None)),)


def test_a_runtime_computes_the_outputs_by_name(runtime):
    outputs = runtime.infer(IMAGE)
    assert list(outputs) == ['depth'] and outputs['depth'].dtype == np.float32
    np.testing.assert_allclose(outputs['depth'], np.full((1, 1, 48, 64), 7.0), atol=1e-5)


def test_a_runtime_raises_an_inference_error_for_inputs_of_another_shape(runtime):
    with pytest.raises(InferenceError):
        runtime.infer({'image': np.zeros((1, 4, 48, 64), np.float32)})


def test_cancel_before_the_first_run_has_no_effect(runtime):
    runtime.cancel()
    assert runtime.infer(IMAGE)['depth'].shape == (1, 1, 48, 64)


@pytest.mark.parametrize('name', RUNTIMES)
def test_cancel_ends_a_running_infer_and_the_runtime_remains_usable(tmp_path, name):
    weight = np.full((3, 3, 31, 31), 1e-6, np.float32)
    names = ['image', *(f't{i}' for i in range(200))]
    nodes = [helper.make_node('Conv', [a, 'weight'], [b], pads=[15] * 4) for a, b in pairwise(names)]
    nodes.append(helper.make_node('ReduceMean', [names[-1]], ['depth'], axes=[1]))
    slow = RUNTIMES[name](save(tmp_path / 'slow.onnx', nodes, constants=[('weight', weight)]), RuntimeOptions('cpu'))
    timer = threading.Timer(0.3, slow.cancel)
    timer.start()
    with pytest.raises(InferenceError):
        slow.infer({'image': np.zeros((1, 3, 120, 160), np.float32)})
    timer.join()
    assert slow.infer({'image': np.zeros((1, 3, 16, 16), np.float32)})['depth'].shape == (1, 1, 16, 16)
    slow.close()
