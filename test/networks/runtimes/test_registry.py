"""The registry of runtimes: the manifest chooses. What every runtime must do is in test_conformance.py."""

import pytest
from tiny_model import MANIFEST, model

from depth_ros.errors import ModelLoadError
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.load_network import load_network
from depth_ros.networks.manifest import RuntimeSupport
from depth_ros.networks.runtimes.fake_runtime import FakeRuntime
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.networks.runtimes.registry import RUNTIMES, registered_runtime
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.settings.node_settings import MonoSettings


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
