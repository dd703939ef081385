"""Files in half precision are compared with the CPU, whatever device runs them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_model import MANIFEST, mean_of_channels

from depth_ros.errors import ModelMismatch
from depth_ros.networks.catalog import find_manifest, model_file
from depth_ros.networks.half_precision import computes_in_half_precision
from depth_ros.networks.load_network import load_network
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.settings.node_settings import MonoSettings


def half_precision_file(path):
    """Write the mean of the channels, computed with weights in half precision; inputs and outputs are float32."""
    weight = np.full((1, 3, 1, 1), 1 / 3, np.float16)
    graph = helper.make_graph(
        [
            helper.make_node('Cast', ['image'], ['half'], to=TensorProto.FLOAT16),
            helper.make_node('Conv', ['half', 'weight'], ['mean']),
            helper.make_node('Cast', ['mean'], ['depth'], to=TensorProto.FLOAT),
        ],
        'tiny',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, 'h', 'w'])],
        [helper.make_tensor_value_info('depth', TensorProto.FLOAT, [1, 1, 'h', 'w'])],
        [numpy_helper.from_array(weight, 'weight')],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return path


@pytest.fixture
def other_device(monkeypatch, tmp_path):
    """Return settings that load a network on a device whose outputs have a relative error; it is set by ``error``."""
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'tiny.yaml').write_text(MANIFEST)

    class OtherDevice(OnnxRuntime):
        error = 0.0

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.device = 'CUDAExecutionProvider (stand-in)'

        def infer(self, tensors):
            return {name: values * np.float32(1 + self.error) for name, values in super().infer(tensors).items()}

    monkeypatch.setitem(RUNTIMES, 'onnxruntime', OtherDevice)
    return OtherDevice


def load(tmp_path, reports=None):
    listener = ProgressListener(report=(reports if reports is not None else []).append)
    return MonoNetwork(*load_network(MonoSettings(model=str(tmp_path / 'tiny.yaml'), device='cpu'), listener))


def test_a_pulled_file_in_half_precision_that_differs_from_the_cpu_is_refused(tmp_path, other_device):
    half_precision_file(tmp_path / 'tiny.onnx')
    other_device.error = 0.05
    with pytest.raises(ModelMismatch, match=r'CUDAExecutionProvider \(stand-in\) in fp16: .* differs by 5\.0%'):
        load(tmp_path)


def test_a_pulled_file_in_half_precision_that_agrees_with_the_cpu_states_the_difference(tmp_path, other_device):
    half_precision_file(tmp_path / 'tiny.onnx')
    other_device.error = 0.004
    assert load(tmp_path).name.endswith('fp16 within 0.40% of full precision')


def test_the_output_of_the_cpu_is_computed_once(tmp_path, other_device):
    half_precision_file(tmp_path / 'tiny.onnx')
    reports = []
    for _ in range(2):
        load(tmp_path, reports).close()
    assert len(reports) == 1 and 'computing tiny.onnx on the CPU' in reports[0]
    mean_of_channels(tmp_path / 'tiny.onnx')  # another file of the same name, in full precision
    assert load(tmp_path, reports).name == 'tiny on CUDAExecutionProvider (stand-in)'
    assert len(reports) == 1


def test_a_file_that_the_cpu_cannot_compute_is_used_without_the_check(tmp_path, other_device, monkeypatch):
    from depth_ros.errors import ModelLoadError
    from depth_ros.networks import half_precision

    def unavailable(*arguments):
        raise ModelLoadError('Could not find an implementation for Conv(11)')

    half_precision_file(tmp_path / 'tiny.onnx')
    monkeypatch.setattr(half_precision, 'OnnxRuntime', unavailable)
    reports = []
    assert load(tmp_path, reports).name == 'tiny on CUDAExecutionProvider (stand-in)'
    assert 'no self-check in half precision' in reports[1] and 'Conv(11)' in reports[1]


def test_on_the_cpu_there_is_nothing_to_compare(tmp_path, monkeypatch):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'tiny.yaml').write_text(MANIFEST)
    half_precision_file(tmp_path / 'tiny.onnx')
    reports = []
    assert 'full precision' not in load(tmp_path, reports).name
    assert reports == []


def test_weights_that_are_only_stored_in_half_precision_are_computed_in_full_precision(tmp_path):
    manifest, folder = find_manifest('sim-indoor')
    stored = model_file(manifest, folder)
    assert {each.data_type for each in onnx.load(stored).graph.initializer} >= {TensorProto.FLOAT16}
    assert not computes_in_half_precision(stored)


def test_half_precision_is_recognised_by_the_weights_of_the_file(tmp_path):
    assert computes_in_half_precision(half_precision_file(tmp_path / 'half.onnx'))
    assert not computes_in_half_precision(mean_of_channels(tmp_path / 'full.onnx'))
    for content in (b'', b'\xff' * 50, b'not an ONNX file', (tmp_path / 'half.onnx').read_bytes()[:-40]):
        (tmp_path / 'damaged.onnx').write_bytes(content)
        computes_in_half_precision(tmp_path / 'damaged.onnx')  # no exception
