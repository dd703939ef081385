"""Buffers that are allocated once, CUDA graphs and their fallback, with the CPU provider and real files."""

import gc
import logging
import threading
from contextlib import closing

import numpy as np
import onnx
import onnxruntime
import psutil
import pytest
from onnx import TensorProto, helper
from runtime_files import FILES
from tiny_model import mean_of_channels

from depth_ros.errors import InferenceError
from depth_ros.networks.runtimes import device_binding, onnx_runtime
from depth_ros.networks.runtimes.capture_gate import CaptureGate
from depth_ros.networks.runtimes.device_binding import BoundSession, DeviceBinding
from depth_ros.networks.runtimes.onnx_file import has_fixed_shapes
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.runtime import RuntimeOptions, TensorInfo

CPU = RuntimeOptions('cpu')
RNG = np.random.default_rng(0)


def image(height=48, width=64, batch=1):
    return {'image': RNG.random((batch, 3, height, width), np.float32)}


def two_outputs(path, shape=(1, 3, 'h', 'w')):
    """Write a graph whose outputs are the largest channel, and three times the image in half precision."""
    nodes = [
        helper.make_node('ReduceMax', ['image'], ['nearest'], axes=[1]),
        helper.make_node('Mul', ['image', 'three'], ['product']),
        helper.make_node('Cast', ['product'], ['half'], to=TensorProto.FLOAT16),
    ]
    one = (shape[0], 1, *shape[2:])
    outputs = [
        helper.make_tensor_value_info('half', TensorProto.FLOAT16, shape),
        helper.make_tensor_value_info('nearest', TensorProto.FLOAT, one),
    ]
    three = helper.make_tensor('three', TensorProto.FLOAT, [1], [3.0])
    inputs = [helper.make_tensor_value_info('image', TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, 'two', inputs, outputs, [three])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return path


INFOS = (TensorInfo('half', 'float16', ()), TensorInfo('nearest', 'float32', ()))


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])


@pytest.fixture
def bound(monkeypatch):
    """Let sessions on the CPU use buffers and CUDA graphs as those on CUDA do; return what was opened."""
    monkeypatch.setitem(onnx_runtime._BUFFERS, 'cpu', 'cpu')
    opened = []
    session = onnxruntime.InferenceSession

    def open_session(*arguments, **options):
        opened.append(options)
        return session(*arguments, **options)

    monkeypatch.setattr(onnxruntime, 'InferenceSession', open_session)
    return opened


@pytest.mark.parametrize('shape', [(1, 3, 48, 64), (1, 3, 'h', 'w')], ids=['fixed', 'dynamic'])
def test_outputs_are_those_of_an_ordinary_run(tmp_path, shape):
    session = session_of(two_outputs(tmp_path / 'two.onnx', shape))
    runs = BoundSession(onnxruntime, session, INFOS, 'cpu')
    for _ in range(3):
        tensors = image()
        expected = session.run(['half', 'nearest'], tensors)
        found = runs.run(tensors, onnxruntime.RunOptions())
        assert list(found) == ['half', 'nearest'] and found['half'].dtype == np.float16
        for name, values in zip(found, expected, strict=True):
            np.testing.assert_array_equal(found[name], values)


def test_2000_runs_use_the_same_buffers_and_memory_stays_flat(tmp_path):
    binding = DeviceBinding(onnxruntime, session_of(two_outputs(tmp_path / 'two.onnx')), image(), INFOS, 'cpu')
    tensors, options, process = image(), onnxruntime.RunOptions(), psutil.Process()

    def addresses():
        values = [*binding._inputs.values(), *binding._binding.get_outputs()]
        return [value.data_ptr() for value in values]

    for _ in range(200):
        binding.run(tensors, options)
    before, used = addresses(), process.memory_info().rss
    for _ in range(1800):
        found = binding.run(tensors, options)
    gc.collect()
    assert addresses() == before and process.memory_info().rss - used < 4 << 20
    np.testing.assert_array_equal(found['nearest'], tensors['image'].max(1, keepdims=True))


def test_a_later_run_does_not_change_the_arrays_of_an_earlier_one(tmp_path):
    runs = BoundSession(onnxruntime, session_of(two_outputs(tmp_path / 'two.onnx')), INFOS, 'cpu')
    given = [image() for _ in range(4)]
    found = [runs.run(tensors, onnxruntime.RunOptions()) for tensors in given]
    for tensors, outputs in zip(given, found, strict=True):
        np.testing.assert_array_equal(outputs['nearest'], tensors['image'].max(1, keepdims=True))
        assert outputs['nearest'].flags.writeable


def test_inputs_may_be_changed_after_a_run_and_need_not_be_contiguous(tmp_path):
    runs = BoundSession(onnxruntime, session_of(two_outputs(tmp_path / 'two.onnx')), INFOS, 'cpu')
    flipped = {'image': image()['image'][:, :, ::-1, ::-1]}
    found = runs.run(flipped, onnxruntime.RunOptions())['nearest']
    expected = flipped['image'].max(1, keepdims=True)
    flipped['image'][:] = 0
    np.testing.assert_array_equal(found, expected)


def test_another_size_gets_its_own_buffers_and_the_oldest_of_many_are_released(tmp_path):
    runs = BoundSession(onnxruntime, session_of(two_outputs(tmp_path / 'two.onnx', ('n', 3, 'h', 'w'))), INFOS, 'cpu')
    for size in [(8, 8), (16, 8), (8, 8), *((8, 8 + i) for i in range(10)), (16, 8)]:
        for batch in (1, 3):
            tensors = image(*size, batch)
            found = runs.run(tensors, onnxruntime.RunOptions())['nearest']
            np.testing.assert_array_equal(found, tensors['image'].max(1, keepdims=True))
    assert len(runs._bindings) == device_binding._MAX_BINDINGS


@pytest.mark.parametrize(
    'wrong',
    [
        {'image': np.zeros((1, 4, 8, 8), np.float32)},
        {'image': np.zeros((1, 3, 8, 8), np.float64)},
        {'picture': np.zeros((1, 3, 8, 8), np.float32)},
        {},
    ],
    ids=['channels', 'type', 'name', 'none'],
)
def test_a_wrong_input_is_an_inference_error_and_the_next_run_succeeds(tmp_path, bound, wrong):
    with closing(OnnxRuntime(mean_of_channels(tmp_path / 'mean.onnx'), CPU)) as runtime:
        for _ in range(2):
            with pytest.raises(InferenceError, match=r'mean\.onnx: '):
                runtime.infer(wrong)
            np.testing.assert_allclose(runtime.infer(image())['depth'].shape, (1, 1, 48, 64))


def test_a_run_with_buffers_can_be_cancelled_and_the_runtime_stays_usable(tmp_path, bound):
    runtime, caught = OnnxRuntime(FILES['onnxruntime'].write_slow(tmp_path / 'slow.onnx'), CPU), []

    def run():
        try:
            runtime.infer(image(120, 160))
        except InferenceError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while runtime._run is None:
        pass
    thread.join(0.3)
    runtime.cancel()
    thread.join(20)
    assert not thread.is_alive() and len(caught) == 1
    assert runtime.infer(image(16, 16))['depth'].shape == (1, 1, 16, 16)


# CUDA graphs. The CPU provider ignores the option gpu_graph_id, so every run is an ordinary one.


def graph_id(options):
    try:
        return options.get_run_config_entry('gpu_graph_id')
    except RuntimeError:
        return ''


def graph_ids(monkeypatch, change=lambda binding, compute, options: compute(binding, options)):
    """Record the option gpu_graph_id of every run, '' if it is not set; ``change`` replaces the computation."""
    ids, compute = [], DeviceBinding.compute

    def recorded(binding, options):
        ids.append(graph_id(options))
        change(binding, compute, options)

    monkeypatch.setattr(DeviceBinding, 'compute', recorded)
    return ids


@pytest.fixture
def fixed(tmp_path):
    return two_outputs(tmp_path / 'two.onnx', (1, 3, 48, 64))


def checked_run(runtime):
    tensors = image()
    np.testing.assert_array_equal(runtime.infer(tensors)['nearest'], tensors['image'].max(1, keepdims=True))


def test_the_first_run_captures_a_graph_and_checks_it_and_later_runs_replay_it(fixed, bound, monkeypatch, caplog):
    ids = graph_ids(monkeypatch)
    with closing(OnnxRuntime(fixed, CPU)) as runtime:
        for _ in range(3):
            checked_run(runtime)
    assert ids == ['-1', '1', '1', '1', '1'] and len(bound) == 1 and not caplog.records


def test_every_thread_captures_its_own_graph(fixed, bound, monkeypatch):
    ids = graph_ids(monkeypatch)
    with closing(OnnxRuntime(fixed, CPU)) as runtime:
        for _ in range(2):
            thread = threading.Thread(target=lambda: (checked_run(runtime), checked_run(runtime)))
            thread.start()
            thread.join()
    assert ids == ['-1', '1', '1', '1'] * 2


def fails_to_capture(binding, compute, options):
    if graph_id(options) == '1':
        raise RuntimeError('CUDA failure 900: operation not permitted when stream is capturing')
    compute(binding, options)


def reads_no_new_inputs(binding, compute, options):
    """Replay a graph that contains the outputs of the run in which it was captured."""
    if graph_id(options) == '1':
        if hasattr(binding, 'captured'):
            return
        binding.captured = True
    compute(binding, options)


@pytest.mark.parametrize(
    ('fault', 'text'), [(fails_to_capture, 'CUDA failure 900'), (reads_no_new_inputs, 'half differs')]
)
def test_a_graph_that_fails_or_is_wrong_is_reported_once_and_not_used(fixed, bound, monkeypatch, caplog, fault, text):
    ids = graph_ids(monkeypatch, fault)
    with closing(OnnxRuntime(fixed, CPU)) as runtime:
        for _ in range(3):
            checked_run(runtime)
    assert len(bound) == 2  # the session in which capturing failed is replaced
    assert '1' not in ids[ids.index('1') + 2 :] and ids[-2:] == ['', '']
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and 'two.onnx runs without a CUDA graph: ' in record.message
    assert text in record.message


def test_files_with_dynamic_shapes_and_sessions_without_graphs_capture_none(tmp_path, fixed, bound, monkeypatch):
    ids = graph_ids(monkeypatch)
    with closing(OnnxRuntime(two_outputs(tmp_path / 'dynamic.onnx'), CPU)) as runtime:
        checked_run(runtime)
    with closing(OnnxRuntime(fixed, RuntimeOptions('cpu', cuda_graph=False))) as runtime:
        checked_run(runtime)
    assert ids == ['', '']


def test_no_graph_is_captured_while_another_thread_uses_the_gpu(fixed, bound, monkeypatch):
    gate, ids = CaptureGate(), graph_ids(monkeypatch)
    monkeypatch.setattr(device_binding, 'GATE', gate)
    with closing(OnnxRuntime(fixed, CPU)) as runtime:
        with gate.use():
            checked_run(runtime)
        assert ids == ['-1']
        checked_run(runtime)
    assert ids == ['-1', '-1', '1', '1']


def test_nobody_uses_the_gpu_while_a_graph_is_captured():
    gate, events = CaptureGate(), []

    def use():
        with gate.use():
            events.append('use')

    with gate.capture() as free:
        assert free
        thread = threading.Thread(target=use)
        thread.start()
        with gate.capture() as again:
            assert not again
        thread.join(0.1)
        events.append('captured')
    thread.join(5)
    assert events == ['captured', 'use']
    with gate.use(), gate.use(), gate.capture() as free:
        assert not free
    with gate.capture() as free:
        assert free


@pytest.mark.parametrize(
    ('shape', 'fixed'),
    [((1, 3, 48, 64), True), (('n', 3, 48, 64), False), ((1, 3, 'h', 64), False), ((1, 3, None, 64), False),
     ((-1, 3, 48, 64), False)],
)  # fmt: skip
def test_a_file_has_fixed_shapes_if_every_axis_of_inputs_and_outputs_has_a_size(tmp_path, shape, fixed):
    assert has_fixed_shapes(two_outputs(tmp_path / 'file.onnx', shape)) is fixed


def test_a_file_that_cannot_be_read_has_no_fixed_shapes(fixed):
    content = fixed.read_bytes()
    for part in (b'', content[:100], content[:-60], b'\xff' * 50):
        fixed.write_bytes(part)
        assert has_fixed_shapes(fixed) is False
    unknown = onnx.load_from_string(content)
    unknown.graph.output[0].type.tensor_type.ClearField('shape')
    onnx.save(unknown, fixed)
    assert has_fixed_shapes(fixed) is False
