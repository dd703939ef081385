"""`threads`, `memory_limit_mb`, `graph_optimization` and `device_id`: their effect on the sessions of the runtimes."""

import os

import numpy as np
import onnx
import onnxruntime
import psutil
import pytest
from onnx import helper
from runtime_files import FILES
from tiny_model import STEREO, model, save, with_fixed_shapes

from depth_ros.cli.main import main
from depth_ros.errors import DeviceUnavailable
from depth_ros.networks.runtimes import gpu, onnx_runtime
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions
from depth_ros.networks.runtimes.torch_runtime import TorchRuntime
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

IMAGE = {'image': np.zeros((1, 3, 48, 64), np.float32)}
DEFAULT_THREADS = max(1, (os.cpu_count() or 2) - 1)


@pytest.fixture
def opened(monkeypatch):
    """Record session options and providers of every session; all sessions run on the CPU."""
    calls = []
    session = onnxruntime.InferenceSession

    def open_session(path, options, providers):
        calls.append((options, providers))
        return session(path, options, providers=['CPUExecutionProvider'])

    monkeypatch.setattr(onnxruntime, 'InferenceSession', open_session)
    return calls


@pytest.fixture
def every_provider(monkeypatch):
    names = [f'{name}ExecutionProvider' for name in ('Tensorrt', 'CUDA', 'OpenVINO', 'CPU')]
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: names)


@pytest.mark.parametrize('threads', [1, 2, 5])
def test_a_session_uses_the_requested_number_of_threads_and_close_ends_them(tmp_path, threads):
    path, process = model(tmp_path).with_suffix('.onnx'), psutil.Process()
    before = process.num_threads()
    runtime = OnnxRuntime(path, RuntimeOptions('cpu', threads=threads))
    runtime.infer(IMAGE)
    assert process.num_threads() - before == threads - 1  # the calling thread is one of them
    runtime.close()
    assert process.num_threads() == before


@pytest.mark.parametrize(
    ('threads', 'expected'), [(0, DEFAULT_THREADS), (1, 1), (3, 3)], ids=['default', 'one', 'three']
)
@pytest.mark.parametrize('task', ['mono', 'stereo'])
def test_the_parameter_threads_reaches_the_session_and_0_leaves_one_core_free(
    tmp_path, opened, task, threads, expected
):
    estimator(tmp_path, task, threads=threads)
    (options, _) = opened[-1]
    assert options.intra_op_num_threads == expected and options.inter_op_num_threads == 1


def estimator(tmp_path, task, **settings):
    if task == 'mono':
        return mono_estimator(MonoSettings(model=str(model(tmp_path / 'net')), **settings))
    return stereo_estimator(StereoSettings(model=str(model(tmp_path / 'net', STEREO, plus=4.0)), **settings))


@pytest.mark.parametrize(
    ('level', 'left'),
    [('none', {'Identity', 'Conv', 'Relu'}), ('basic', {'Conv', 'Relu'}), ('extended', {'FusedConv'}), ('all', None)],
)
def test_graph_optimization_determines_the_operators_of_the_graph(tmp_path, monkeypatch, level, left):
    session = onnxruntime.InferenceSession

    def open_session(path, options, providers):
        options.optimized_model_filepath = str(tmp_path / 'optimized.onnx')  # written by ONNX Runtime itself
        return session(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, 'InferenceSession', open_session)
    nodes = [
        helper.make_node('Identity', ['image'], ['same']),
        helper.make_node('Conv', ['same', 'weight'], ['mean']),
        helper.make_node('Relu', ['mean'], ['depth']),
    ]
    path = save(tmp_path / 'net.onnx', nodes, constants=[('weight', np.full((1, 3, 1, 1), 1 / 3, np.float32))])
    OnnxRuntime(path, RuntimeOptions('cpu', optimization=level))
    operators = {node.op_type for node in onnx.load(tmp_path / 'optimized.onnx').graph.node}
    if left is None:  # the layout, and with it the operators, depends on the CPU
        assert not operators & {'Identity', 'Relu'}
    else:
        assert operators == left


@pytest.mark.parametrize(
    ('level', 'expected'),
    [
        ('none', 'ORT_DISABLE_ALL'),
        ('basic', 'ORT_ENABLE_BASIC'),
        ('extended', 'ORT_ENABLE_EXTENDED'),
        ('all', 'ORT_ENABLE_ALL'),
    ],
)
def test_the_parameter_graph_optimization_reaches_the_session(tmp_path, opened, level, expected):
    estimator(tmp_path, 'mono', graph_optimization=level)
    assert opened[-1][0].graph_optimization_level.name == expected


def providers(opened):
    """Return the options of the last session, by provider."""
    return dict(opened[-1][1])


def test_memory_limit_mb_bounds_the_memory_of_cuda(tmp_path, opened, every_provider):
    estimator(tmp_path, 'mono', device='cuda', memory_limit_mb=512, allow_fallback=True)
    assert list(providers(opened)) == ['CUDAExecutionProvider', 'CPUExecutionProvider']
    assert providers(opened)['CUDAExecutionProvider']['gpu_mem_limit'] == 512 * 1024 * 1024
    assert providers(opened)['CUDAExecutionProvider']['arena_extend_strategy'] == 'kSameAsRequested'


def test_memory_limit_mb_bounds_the_workspace_of_tensorrt_and_the_memory_of_cuda(tmp_path, opened, every_provider):
    path = model(tmp_path).with_suffix('.onnx')
    OnnxRuntime(path, RuntimeOptions('tensorrt', memory_limit_mb=256, allow_fallback=True))
    found = providers(opened)
    assert list(found) == ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']
    assert found['TensorrtExecutionProvider']['trt_max_workspace_size'] == 256 * 1024 * 1024
    assert found['CUDAExecutionProvider']['gpu_mem_limit'] == 256 * 1024 * 1024


@pytest.mark.parametrize('device', ['cuda', 'tensorrt'])
def test_without_memory_limit_mb_no_limit_is_set(tmp_path, opened, every_provider, device):
    OnnxRuntime(model(tmp_path).with_suffix('.onnx'), RuntimeOptions(device, allow_fallback=True))
    given = {key for options in providers(opened).values() for key in options}
    assert not given & {'gpu_mem_limit', 'trt_max_workspace_size'}


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(onnx_runtime, 'cuda_device_count', lambda: 2)


@pytest.mark.parametrize('task', ['mono', 'stereo'])
def test_the_parameter_device_id_reaches_cuda(tmp_path, opened, every_provider, two_gpus, task):
    estimator(tmp_path, task, device='cuda', device_id=1, allow_fallback=True)
    assert providers(opened)['CUDAExecutionProvider']['device_id'] == 1


def test_device_id_reaches_tensorrt_and_the_cuda_provider_for_the_rest_of_the_graph(
    tmp_path, opened, every_provider, two_gpus
):
    path = model(tmp_path).with_suffix('.onnx')
    OnnxRuntime(path, RuntimeOptions('tensorrt', device_id=1, allow_fallback=True))
    assert providers(opened)['TensorrtExecutionProvider']['device_id'] == 1
    assert providers(opened)['CUDAExecutionProvider']['device_id'] == 1


@pytest.mark.parametrize(('number', 'expected'), [(0, {}), (1, {'device_type': 'GPU.1'})])
def test_device_id_is_a_gpu_of_openvino_unless_it_is_0(tmp_path, opened, every_provider, number, expected):
    path = model(tmp_path).with_suffix('.onnx')
    OnnxRuntime(path, RuntimeOptions('openvino', device_id=number, allow_fallback=True))
    assert providers(opened)['OpenVINOExecutionProvider'] == expected


@pytest.mark.parametrize('device', ['auto', 'cuda', 'tensorrt'])
def test_a_device_id_beyond_the_devices_is_one_sentence_or_the_cpu(tmp_path, opened, every_provider, two_gpus, device):
    path = model(tmp_path).with_suffix('.onnx')
    with pytest.raises(
        DeviceUnavailable, match=r'^device_id is 2; expected 0 to 1, because this process can use 2 CUDA'
    ):
        OnnxRuntime(path, RuntimeOptions(device, device_id=2))
    assert not opened
    runtime = OnnxRuntime(path, RuntimeOptions(device, device_id=2, allow_fallback=True))
    assert 'CPUExecutionProvider (' in runtime.device and [name for name, _ in opened[-1][1]] == [
        'CPUExecutionProvider'
    ]


def test_device_id_is_compared_with_the_devices_of_torch(tmp_path, monkeypatch):
    torch = pytest.importorskip('torch')
    path = FILES['torch.export'].write(tmp_path / 'tiny.pt2')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    for device in ('auto', 'cuda'):
        with pytest.raises(
            DeviceUnavailable, match=r'^device_id is 3; expected 0, because this process can use 1 CUDA d'
        ):
            TorchRuntime(path, RuntimeOptions(device, device_id=3))
    runtime = TorchRuntime(path, RuntimeOptions('cuda', device_id=3, allow_fallback=True))
    assert runtime.device.startswith('CPU')


@pytest.mark.parametrize('count', [None, 0])
def test_an_unknown_number_of_devices_is_left_to_the_library(count):
    gpu.check_device_id(3, count)


def test_device_id_is_an_option_of_the_commands_that_have_device(tmp_path, opened, every_provider, two_gpus, capsys):
    path = str(model(tmp_path).with_suffix('.onnx'))
    for command in (['bench', path], ['check', path, '--manifest', str(tmp_path / 'tiny.yaml')]):
        assert main(['models', *command, '--device', 'cuda', '--device-id', '2']) == 1
        assert 'device_id is 2; expected 0 to 1' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['models', 'bench', path, '--device-id', 'one'])
    assert "'one' is not a whole number; expected 0 or more" in capsys.readouterr().err


def test_a_cuda_graph_is_requested_for_fixed_shapes_and_the_session_is_opened_without_it_if_it_does_not_start(
    tmp_path, opened, every_provider, two_gpus
):
    for device, name in (
        ('cuda', ('CUDAExecutionProvider', 'enable_cuda_graph')),
        ('tensorrt', ('TensorrtExecutionProvider', 'trt_cuda_graph_enable')),
    ):
        opened.clear()
        path = model(tmp_path).with_suffix('.onnx')
        OnnxRuntime(path, RuntimeOptions(device, allow_fallback=True))
        assert len(opened) == 1 and name[1] not in dict(opened[0][1])[name[0]]
        opened.clear()
        OnnxRuntime(with_fixed_shapes(path), RuntimeOptions(device, allow_fallback=True))
        assert [name[1] in dict(given)[name[0]] for _, given in opened] == [True, False]
