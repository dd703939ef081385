"""Networks on a GPU. ``pytest -m gpu`` runs these tests where there is one; elsewhere they skip with the reason.

``DEPTH_ROS_TEST_DEVICE=cpu pytest -m gpu`` runs the same code with the CPU provider, except for what only a GPU has.
"""

import gc
import os
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import onnx
import onnxruntime
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from runtime_files import FILES
from tiny_model import MANIFEST, model, with_free_batch

from depth_ros.errors import DeviceUnavailable, InferenceError, OutOfMemory
from depth_ros.networks.runtimes import onnx_runtime
from depth_ros.networks.runtimes.cuda_device import cuda_device
from depth_ros.networks.runtimes.gpu import cuda_device_count
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.onnx_session import PROVIDERS, providers
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.networks.runtimes.runtime import RuntimeOptions
from depth_ros.networks.runtimes.torch_runtime import TorchRuntime
from depth_ros.networks.shared_network import SharedNetworks
from depth_ros.pipeline import mono_estimator
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import Frame

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
REQUESTED = os.environ.get('DEPTH_ROS_TEST_DEVICE')
RNG = np.random.default_rng(0)


def why_not(device):
    """Return the reason for which a device cannot be tested; '' if it can."""
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        return f'this ONNX Runtime ({onnxruntime.__version__}) has no {PROVIDERS[device]} (pip install onnxruntime-gpu)'
    if device != 'cpu' and not cuda_device_count():
        return 'the CUDA driver finds no device'
    return ''


@pytest.fixture(params=[REQUESTED] if REQUESTED else ['cuda', 'tensorrt'])
def device(request, monkeypatch, tmp_path):
    """Return the device to test; the CPU, if requested, runs with buffers and graphs as CUDA does."""
    if reason := why_not(request.param):
        pytest.skip(reason)
    if request.param == 'cpu':
        monkeypatch.setitem(onnx_runtime._BUFFERS, 'cpu', 'cpu')
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    return request.param


@pytest.fixture
def gpu_only(device):
    if device == 'cpu':
        pytest.skip('the statement is about a GPU')


def network(path, size=(96, 128), half=False, channels=16, batch=1):
    """Write a small encoder and decoder with the operators of depth networks, with random weights."""
    rng, kind = np.random.default_rng(1), np.float16 if half else np.float32
    weights = {
        'w1': rng.normal(0, 0.3, (channels, 3, 3, 3)), 'w2': rng.normal(0, 0.1, (2 * channels, channels, 3, 3)),
        'w3': rng.normal(0, 0.1, (channels, 2 * channels, 1, 1)), 'w4': rng.normal(0, 0.1, (1, channels, 3, 3)),
    }  # fmt: skip
    nodes = [
        helper.make_node('Cast', ['image'], ['given'], to=TensorProto.FLOAT16 if half else TensorProto.FLOAT),
        helper.make_node('Conv', ['given', 'w1'], ['a'], pads=[1] * 4, strides=[2, 2]),
        helper.make_node('Relu', ['a'], ['b']),
        helper.make_node('Conv', ['b', 'w2'], ['c'], pads=[1] * 4, strides=[2, 2]),
        helper.make_node('Sigmoid', ['c'], ['d']),
        helper.make_node('Softmax', ['d'], ['e'], axis=1),
        helper.make_node('Mul', ['c', 'e'], ['f']),
        helper.make_node('Conv', ['f', 'w3'], ['g']),
        helper.make_node('Resize', ['g', '', 'scales'], ['h'], mode='linear'),
        helper.make_node('Conv', ['h', 'w4'], ['i'], pads=[1] * 4),
        helper.make_node('Softplus', ['i'], ['j']),
        helper.make_node('Cast', ['j'], ['depth'], to=TensorProto.FLOAT),
    ]
    constants = [numpy_helper.from_array(values.astype(kind), name) for name, values in weights.items()]
    constants.append(numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), 'scales'))
    inputs = [helper.make_tensor_value_info('image', TensorProto.FLOAT, [batch, 3, *size])]
    outputs = [helper.make_tensor_value_info('depth', TensorProto.FLOAT, [batch, 1, *size])]
    graph = helper.make_graph(nodes, 'net', inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return path


def image(size=(96, 128)):
    return {'image': RNG.random((1, 3, *size), np.float32)}


def on_cpu(path, tensors):
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return session.run(['depth'], tensors)[0]


def difference(expected, found):
    """Return the mean difference, relative to the mean of the expected values."""
    return float(np.abs(found - expected).mean() / np.abs(expected).mean())


def used_mb(device):
    """Return the memory of this process, and that in use on the GPU."""
    gc.collect()
    gpu = None if device == 'cpu' else cuda_device(0)
    return psutil.Process().memory_info().rss / 2**20, gpu.used_memory_mb() if gpu else 0.0


def test_the_provider_starts_and_captures_a_graph(device, tmp_path, caplog):
    with closing(OnnxRuntime(network(tmp_path / 'net.onnx'), RuntimeOptions(device))) as runtime:
        assert runtime.device.startswith(PROVIDERS[device])
        runtime.infer(image())
        assert hasattr(runtime._bound._captured, 'done') and not caplog.records


def test_no_part_of_the_graph_runs_silently_on_the_cpu(device, gpu_only, tmp_path):
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry('session.disable_cpu_ep_fallback', '1')
    path = network(tmp_path / 'net.onnx')
    without_cpu = providers(device, RuntimeOptions(device), None, False)[:-1]
    session = onnxruntime.InferenceSession(str(path), settings, providers=without_cpu)
    assert session.get_providers()[0] == PROVIDERS[device]


@pytest.mark.parametrize(('half', 'limit'), [(False, 1e-3), (True, 1e-2)], ids=['fp32', 'fp16'])
@pytest.mark.parametrize('graph', [True, False], ids=['graph', 'no graph'])
def test_outputs_agree_with_those_of_the_cpu(device, tmp_path, half, limit, graph):
    path = network(tmp_path / 'net.onnx', half=half)
    with closing(OnnxRuntime(path, RuntimeOptions(device, cuda_graph=graph))) as runtime:
        for _ in range(5):
            tensors = image()
            assert difference(on_cpu(path, tensors), runtime.infer(tensors)['depth']) <= limit


def test_a_network_of_the_package_agrees_with_the_cpu(device):
    frame = Frame(RNG.integers(0, 256, (240, 320, 3), np.uint8), None)
    depths = []
    for where in ('cpu', device):
        settings = MonoSettings(model='sim-indoor', device=where, allow_simulator_model=True)
        with closing(mono_estimator(settings)) as estimator:
            depths.append(estimator.estimate(frame).values)
    assert difference(*depths) <= 1e-3


def test_torch_agrees_with_the_cpu_and_its_results_are_not_overwritten(device, tmp_path):
    if device == 'tensorrt':
        pytest.skip('torch has no TensorRT here')
    torch = pytest.importorskip('torch')
    if device == 'cuda' and not torch.cuda.is_available():
        pytest.skip(f'this torch ({torch.__version__}) has no CUDA device')
    path = FILES['torch.export'].write(tmp_path / 'tiny.pt2')
    with closing(TorchRuntime(path, RuntimeOptions(device))) as runtime:
        assert ('cuda:0' in runtime.device) == (device == 'cuda')
        given = [image() for _ in range(5)]
        found = [runtime.infer(tensors)['output'] for tensors in given]
    for tensors, depth in zip(given, found, strict=True):
        np.testing.assert_allclose(depth, tensors['image'].mean(1, keepdims=True) + 1, atol=2e-3)


def test_frames_of_cameras_that_share_a_network_are_computed_together(device, tmp_path):
    path = with_free_batch(model(tmp_path / 'net', MANIFEST))
    settings = MonoSettings(model=str(path), device=device, image_size='64x48')
    frames = [Frame(RNG.integers(0, 256, (48, 64, 3), np.uint8), None) for _ in range(3)]
    with closing(mono_estimator(settings, NO_LISTENER, cameras=3)) as estimator:
        assert estimator.largest_batch == 3
        alone = [estimator.estimate(frame).values for frame in frames]
        for count in (3, 2, 1, 3):
            for found, expected in zip(estimator.estimate_batch(frames[:count]), alone[:count], strict=True):
                np.testing.assert_allclose(found.values, expected, rtol=1e-3)
    networks, results = SharedNetworks(), {}

    def share():
        return closing(networks.get('key', lambda: mono_estimator(settings, NO_LISTENER, cameras=2)))

    with share() as first, share() as second:

        def run(name, estimator, frame):
            results[name] = [estimator.estimate(frame).values for _ in range(50)]

        threads = [threading.Thread(target=run, args=(i, share, frames[i])) for i, share in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i, expected in enumerate(alone[:2]):
        assert len(results[i]) == 50
        for found in results[i]:
            np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_beyond_the_memory_limit_a_run_is_out_of_memory_and_a_smaller_one_succeeds(device, gpu_only, tmp_path):
    if device == 'tensorrt':
        pytest.skip('memory_limit_mb is the limit of the workspace in which TensorRT builds an engine')
    options = RuntimeOptions(device, memory_limit_mb=256)
    large = network(tmp_path / 'large.onnx', (4096, 4096), channels=64)
    with pytest.raises(OutOfMemory):
        OnnxRuntime(large, options).infer(image((4096, 4096)))
    gc.collect()
    small = network(tmp_path / 'small.onnx')
    with closing(OnnxRuntime(small, options)) as runtime:
        tensors = image()
        assert difference(on_cpu(small, tensors), runtime.infer(tensors)['depth']) <= 1e-3


def test_two_threads_with_networks_of_their_own_use_one_gpu(device, tmp_path):
    paths = [network(tmp_path / f'{i}.onnx', channels=8 * (i + 1)) for i in range(2)]
    worst = {}

    def run(path):
        with closing(OnnxRuntime(path, RuntimeOptions(device))) as runtime:
            pairs = [(tensors, on_cpu(path, tensors)) for tensors in (image(), image())]
            worst[path] = max(
                difference(expected, runtime.infer(tensors)['depth']) for _ in range(100) for tensors, expected in pairs
            )

    threads = [threading.Thread(target=run, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(worst) == paths and max(worst.values()) <= 1e-3


def test_two_processes_use_one_gpu(device):
    command = [
        sys.executable, '-m', 'depth_ros.cli.main', 'models', 'bench', 'sim-indoor', '--device', device, '--json',
        '--repeat', '50', '--image-size', '320x240',
    ]  # fmt: skip
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in 'ab']
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert PROVIDERS[device] in output


def test_a_run_can_be_cancelled_and_the_runtime_stays_usable(device, tmp_path):
    path = network(tmp_path / 'net.onnx', (480, 640), channels=64)
    runtime, caught = OnnxRuntime(path, RuntimeOptions(device)), []
    tensors = image((480, 640))
    runtime.infer(tensors)

    def run():
        end_s = time.monotonic() + 20
        while not caught and time.monotonic() < end_s:
            try:
                runtime.infer(tensors)
            except InferenceError as error:
                caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():  # a single call may fall between two runs
        time.sleep(0.01)
        runtime.cancel()
    assert len(caught) == 1
    assert difference(on_cpu(path, tensors), runtime.infer(tensors)['depth']) <= 1e-3
    runtime.close()


@pytest.mark.parametrize('graph', [True, False], ids=['graph', 'no graph'])
def test_5000_runs_do_not_need_more_memory(device, tmp_path, graph):
    with closing(OnnxRuntime(network(tmp_path / 'net.onnx'), RuntimeOptions(device, cuda_graph=graph))) as runtime:
        tensors = image()
        for _ in range(500):
            runtime.infer(tensors)
        before = used_mb(device)
        for _ in range(5000):
            runtime.infer(tensors)
        after = used_mb(device)
    assert after[0] - before[0] < 16 and after[1] - before[1] < 16


def test_a_network_that_is_opened_again_and_again_does_not_need_more_memory(device, tmp_path):
    path, tensors, used = network(tmp_path / 'net.onnx'), image(), []
    for _ in range(12):
        with closing(OnnxRuntime(path, RuntimeOptions(device))) as runtime:
            runtime.infer(tensors)
        del runtime
        used.append(used_mb(device))
    assert used[-1][0] - used[3][0] < 64 and used[-1][1] - used[3][1] < 64


def test_a_device_id_beyond_the_devices_of_this_machine_is_one_sentence(device, gpu_only, tmp_path):
    count = cuda_device_count()
    with pytest.raises(DeviceUnavailable, match=rf'^device_id is {count}; expected 0'):
        OnnxRuntime(network(tmp_path / 'net.onnx'), RuntimeOptions(device, device_id=count))
