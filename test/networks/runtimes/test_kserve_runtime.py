"""The runtime of models on a server: what every runtime must do, and the faults of servers and connections."""

import gc
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from runtime_files import FILES
from tiny_model import mean_of_channels, save

pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')

import grpc
from inference_server import InferenceServer

from depth_ros.errors import DeadlineExceeded, DeviceUnavailable, InferenceError, ServerUnavailable
from depth_ros.networks.runtimes.kserve_runtime import KserveRuntime, RemoteOptions
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.settings.server_address import parse_url

LOCAL = FILES['onnxruntime']
"""The file that is served, and what must come back."""


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return mean_of_channels(tmp_path_factory.mktemp('served') / 'tiny.onnx')


@pytest.fixture
def server(path):
    with InferenceServer({'tiny': path}) as server:
        yield server


def opened(url, deadline_s=5.0, outputs=None, **options):
    return KserveRuntime(RemoteOptions(parse_url(url), deadline_s, **options), outputs)


@pytest.fixture
def runtime(server):
    with closing(opened(server.url())) as runtime:
        yield runtime


def test_a_runtime_describes_the_server_and_the_tensors_that_it_states(server, runtime):
    assert runtime.device == f'{server.url()} (test)' and runtime.engines is None
    assert runtime.inputs == LOCAL.inputs and runtime.outputs == LOCAL.outputs


def test_outputs_equal_those_of_the_local_run(path, runtime):
    image = {'image': np.random.default_rng(0).random((1, 3, 48, 64), np.float32)}
    with closing(OnnxRuntime(path)) as local:
        expected, actual = local.infer(image), runtime.infer(image)
    assert list(actual) == ['depth'] and actual['depth'].dtype == np.float32 and actual['depth'].flags.writeable
    np.testing.assert_array_equal(actual['depth'], expected['depth'])


def test_only_the_requested_outputs_are_transferred(server):
    with closing(opened(server.url(), outputs=('depth',))) as runtime:
        assert list(runtime.infer(LOCAL.image())) == ['depth']


def test_a_graph_of_any_size_follows_the_size_of_the_image(runtime):
    for height, width in ((48, 64), (31, 17), (96, 128), (48, 64)):
        result = runtime.infer(LOCAL.image(height, width, 2.0))['depth']
        np.testing.assert_allclose(result, np.full((1, 1, height, width), 3.0), atol=1e-5)


def test_a_result_is_not_changed_by_the_next_run(runtime):
    first = runtime.infer(LOCAL.image(value=6.0))['depth']
    runtime.infer(LOCAL.image(value=9.0))
    np.testing.assert_allclose(first, 7.0, atol=1e-5)


@pytest.mark.parametrize('wrong', ['rank', 'channels', 'name', 'none', 'type'])
def test_wrong_inputs_raise_before_a_call_and_the_runtime_remains_usable(server, runtime, wrong):
    image = LOCAL.image()['image']
    given = {
        'rank': {'image': image[0]},
        'channels': {'image': np.repeat(image, 2, axis=1)},
        'name': {'picture': image},
        'none': {},
        'type': {'image': image.astype(np.float64)},
    }[wrong]
    with pytest.raises(InferenceError):
        runtime.infer(given)
    assert server.inferences == 0
    assert runtime.infer(LOCAL.image())['depth'].shape == (1, 1, 48, 64)


def test_an_image_is_sent_as_bytes_if_the_graph_takes_bytes(tmp_path):
    path = tmp_path / 'bytes.onnx'
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMean', ['float'], ['depth'], axes=[1]),
    ]
    save(path, nodes, inputs=())
    graph = onnx.load(path)
    graph.graph.input.append(helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 3, 'h', 'w']))
    onnx.save(graph, path)
    with InferenceServer({'tiny': path}) as server, closing(opened(server.url())) as runtime:
        assert runtime.inputs == (TensorInfo('image', 'uint8', (1, 3, None, None)),)
        depth = runtime.infer({'image': np.full((1, 3, 4, 5), 200, np.uint8)})['depth']
        assert (depth == 200).all() and server.received == [('image', 'UINT8', (1, 3, 4, 5))]


def test_a_scalar_is_sent_as_one_element_to_a_server_that_has_no_scalars(tmp_path):
    path = save(tmp_path / 'scalar.onnx', [helper.make_node('Add', ['image', 'plus'], ['depth'])], out=(1, 3, 'h', 'w'))
    graph = onnx.load(path)
    graph.graph.input.append(helper.make_tensor_value_info('plus', TensorProto.FLOAT, []))
    onnx.save(graph, path)
    with InferenceServer({'tiny': path}) as server, closing(opened(server.url())) as runtime:
        assert runtime.inputs[1] == TensorInfo('plus', 'float32', (1,))
        depth = runtime.infer({**LOCAL.image(), 'plus': np.array(2, np.float32)})['depth']
        assert (depth == 8.0).all() and server.received[1] == ('plus', 'FP32', (1,))


def test_cancel_without_a_run_has_no_effect(runtime):
    for _ in range(2):
        runtime.cancel()
        assert runtime.infer(LOCAL.image())['depth'].shape == (1, 1, 48, 64)


def test_cancel_ends_a_call_that_waits_for_the_server(server, runtime):
    server.delay_s = 60.0
    threading.Timer(0.2, runtime.cancel).start()
    with pytest.raises(InferenceError, match='CANCELLED'):
        runtime.infer(LOCAL.image())
    end_s = time.monotonic() + 10.0
    while not server.abandoned:  # the server is told
        assert time.monotonic() < end_s
        time.sleep(0.01)
    server.delay_s = 0.0
    assert runtime.infer(LOCAL.image())


def test_a_closed_runtime_raises_an_inference_error(server):
    runtime = opened(server.url())
    runtime.close()
    runtime.close()
    with pytest.raises(InferenceError, match='after close'):
        runtime.infer(LOCAL.image())


def test_two_instances_at_once_do_not_affect_each_other(server):
    results = {value: [] for value in (2.0, 5.0)}
    with closing(opened(server.url())) as first, closing(opened(server.url())) as second:

        def run(runtime, value):
            for _ in range(20):
                results[value].append(runtime.infer(LOCAL.image(value=value))['depth'])

        threads = [threading.Thread(target=run, args=each) for each in ((first, 2.0), (second, 5.0))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for value, found in results.items():
        assert len(found) == 20 and all(np.allclose(each, value + 1) for each in found)


@pytest.mark.slow
def test_memory_is_flat_over_600_calls(server):
    runtime = opened(server.url())
    images = [LOCAL.image(48, 64), LOCAL.image(48, 64, 3.0)]
    for i in range(200):
        runtime.infer(images[i % 2])
    gc.collect()
    before = psutil.Process().memory_info().rss
    for i in range(600):
        runtime.infer(images[i % 2])
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 4 << 20  # one lost image per call would be 22 MB
    runtime.close()


def test_a_missing_library_is_reported_with_the_command_that_installs_it(server, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tritonclient.grpc', None)
    with pytest.raises(DeviceUnavailable, match='is not installed .* -m pip install'):
        opened(server.url())


def test_an_answer_after_the_deadline_is_an_error_and_the_next_call_succeeds(server):
    with closing(opened(server.url(), deadline_s=0.2)) as runtime:
        server.delay_s = 0.5
        runtime.infer(LOCAL.image())  # the first call of a connection may take longer
        server.delay_s = 60.0
        with pytest.raises(DeadlineExceeded, match=r'did not answer within 200 ms.*remote_deadline_ms'):
            runtime.infer(LOCAL.image())
        server.delay_s = 0.0
        assert runtime.infer(LOCAL.image())


def test_a_model_that_is_not_on_the_server_is_refused_with_its_name(server):
    with pytest.raises(ServerUnavailable, match=r"/other cannot be used: NOT_FOUND: unknown model: 'other'"):
        opened(server.url('other'))


def test_a_server_that_does_not_run_is_refused_with_the_reason(server):
    server.stop()
    with pytest.raises(ServerUnavailable, match='UNAVAILABLE: .*onnection refused'):
        opened(server.url())


@pytest.mark.parametrize(
    ('status', 'kind'),
    [
        (grpc.StatusCode.INTERNAL, InferenceError),
        (grpc.StatusCode.INVALID_ARGUMENT, InferenceError),
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailable),
        (grpc.StatusCode.NOT_FOUND, ServerUnavailable),
        (grpc.StatusCode.UNAUTHENTICATED, ServerUnavailable),
    ],
)
def test_an_error_of_the_server_is_raised_with_its_text(server, runtime, status, kind):
    server.error = status
    with pytest.raises(InferenceError, match=f'{status.name}: a fault of the test') as caught:
        runtime.infer(LOCAL.image())
    assert type(caught.value) is kind
    server.error = None
    assert runtime.infer(LOCAL.image())


def test_an_answer_that_cannot_be_read_is_an_error(server, runtime):
    server.empty = True
    with pytest.raises(InferenceError, match='output depth of the answer cannot be read'):
        runtime.infer(LOCAL.image())
    server.empty = False
    assert runtime.infer(LOCAL.image())


def test_a_server_that_stops_during_a_call_ends_the_call(server, runtime):
    server.delay_s = 60.0
    threading.Timer(0.2, server.stop).start()
    with pytest.raises(ServerUnavailable):
        runtime.infer(LOCAL.image())


@pytest.mark.slow
def test_a_server_that_is_killed_during_a_call_ends_the_call_and_a_new_one_at_the_same_port_serves(path):
    from pathlib import Path

    script = Path(__file__).parents[2] / 'inference_server.py'

    def start(port):
        process = subprocess.Popen(
            [sys.executable, script, str(port), f'tiny={path}'], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == 'ready\n'
        return process

    with InferenceServer({}) as free:
        port = free.port
    first = start(port)
    try:
        with closing(opened(f'grpc://127.0.0.1:{port}/tiny', deadline_s=60.0)) as runtime:
            image = LOCAL.image(1500, 2000)
            threading.Timer(0.5, first.kill).start()
            with pytest.raises(ServerUnavailable):
                while True:
                    runtime.infer(image)
    finally:
        first.kill()
        first.communicate()
    second = start(port)
    try:
        with closing(opened(f'grpc://127.0.0.1:{port}/tiny')) as runtime:
            assert runtime.infer(LOCAL.image())
    finally:
        second.kill()
        second.communicate()
