"""``depth-ros bench gpu`` with small files and real runtimes on the CPU; no time is judged."""

import json
import sys
from contextlib import closing

import numpy as np
import onnxruntime
import pytest
from runtime_files import FILES
from tiny_model import MANIFEST, STEREO, model

from depth_ros.cli.main import main
from depth_ros.evaluation import runtime_benchmark
from depth_ros.evaluation.runtime_benchmark import (
    BenchmarkedFile,
    RunFigures,
    all_figures,
    markdown_figures,
    measure,
    with_times,
)
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.networks.runtimes.runtime import RuntimeOptions


def benchmarked(path, **options):
    return BenchmarkedFile(path.stem, find_manifest(str(path))[0], path.with_suffix('.onnx'), **options)


def test_runs_take_turns_and_those_for_warming_up_are_not_counted():
    order = []
    times = measure({'a': lambda: order.append('a'), 'b': lambda: order.append('b')}, 4)
    assert order == ['a', 'b'] * 7 and [len(each) for each in times.values()] == [4, 4]


def test_figures_are_those_of_numpy():
    row = with_times(RunFigures('net', 'fp32', 'cpu', 'ours'), [2.0, 4.0, 6.0, 100.0], [1.0, 2.0, 3.0, 4.0])
    assert (row.p50_ms, row.p99_ms) == (5.0, round(float(np.percentile([2, 4, 6, 100], 99)), 3))
    assert row.over_bare_ms == 2.5 and row.runs_per_s == round(4000 / 112, 2)


@pytest.mark.parametrize(('manifest', 'plus'), [(MANIFEST, 1.0), (STEREO, 4.0)], ids=['mono', 'stereo'])
def test_a_file_is_measured_on_the_cpu_beside_the_bare_runtime(tmp_path, manifest, plus):
    file = benchmarked(model(tmp_path / 'net', manifest, plus=plus), image=(64, 48))
    rows = list(all_figures([file], 0, 2, tmp_path))
    assert [row.way for row in rows if row.device == 'cpu'] == [
        'bare ONNX Runtime', 'depth_ros', 'depth_ros, image to depth',
    ]  # fmt: skip
    for row in rows:
        if row.device == 'cpu':
            assert not row.problem and row.p50_ms > 0 and row.p99_ms >= row.p50_ms and row.gpu_memory_mb is None
            assert (row.over_bare_ms is None) == row.way.startswith('bare') and row.upload_ms is None


@pytest.fixture
def cuda_on_the_cpu(monkeypatch):
    """Let sessions for CUDA run on the CPU, with its buffers."""
    from depth_ros.networks.runtimes import onnx_runtime, onnx_session
    from depth_ros.networks.runtimes.device_binding import DeviceBinding

    class Binding(DeviceBinding):
        def __init__(self, *arguments):
            super().__init__(*arguments[:4], 'cpu')

    monkeypatch.setitem(onnx_session.PROVIDERS, 'cuda', 'CPUExecutionProvider')
    monkeypatch.setitem(onnx_runtime._BUFFERS, 'cuda', 'cpu')
    monkeypatch.setattr(onnx_session, 'providers', lambda *_: ['CPUExecutionProvider'])
    monkeypatch.setattr(runtime_benchmark, 'DeviceBinding', Binding)
    monkeypatch.setattr(runtime_benchmark, 'cuda_device_count', lambda: 1)

    class Gpu:
        used = iter(range(100, 1000, 50))

        def used_memory_mb(self):
            return float(next(self.used))

    gpu = Gpu()
    monkeypatch.setattr(runtime_benchmark, 'cuda_device', lambda number: gpu)


def test_on_cuda_copies_graphs_and_memory_are_measured_too(tmp_path, cuda_on_the_cpu):
    file = benchmarked(model(tmp_path / 'net'), image=(64, 48))
    rows = {row.way: row for row in all_figures([file], 0, 2, tmp_path) if row.device == 'cuda'}
    assert list(rows) == [
        'bare ONNX Runtime', 'depth_ros', 'depth_ros, image to depth', 'depth_ros without a CUDA graph',
    ]  # fmt: skip
    assert all(row.problem == '' for row in rows.values()), rows
    assert rows['depth_ros'].gpu_memory_mb == 50.0
    for way in ('bare ONNX Runtime', 'depth_ros'):
        assert rows[way].upload_ms >= 0 and rows[way].download_ms >= 0
    assert rows['depth_ros without a CUDA graph'].upload_ms is None


def test_a_device_that_cannot_be_used_is_a_row_with_the_reason_and_the_others_are_measured(tmp_path, monkeypatch):
    providers = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: providers)
    monkeypatch.setattr(runtime_benchmark, 'cuda_device_count', lambda: None)
    file = benchmarked(model(tmp_path / 'net'), image=(64, 48))
    rows = list(all_figures([file], 0, 1, tmp_path))
    assert rows[0].device == 'cuda' and rows[0].problem == 'the CUDA driver finds no device' and rows[0].p50_ms is None
    assert [row.device for row in rows[1:]] == ['cpu'] * 3
    table = markdown_figures(rows)
    assert table.splitlines()[-1] == 'tiny, fp32, cuda: depth_ros: the CUDA driver finds no device'
    monkeypatch.setattr(runtime_benchmark, 'cuda_device_count', lambda: 1)
    row = next(all_figures([file], 5, 1, tmp_path))
    assert row.device == 'cuda' and row.problem and '\n' not in row.problem


def test_a_file_of_another_runtime_is_measured(tmp_path):
    pytest.importorskip('ai_edge_litert')
    path = model(tmp_path / 'net', MANIFEST.replace('tiny.onnx', 'tiny.tflite') + 'runtime: {backends: [litert]}\n')
    FILES['litert'].write(path.with_suffix('.tflite'))
    path.write_text(
        path.read_text()
        .replace('{name: image, role: image}', '{name: image, role: image, layout: NHWC}')
        .replace('layout: N1HW', 'layout: NHW1')
    )
    manifest, _ = find_manifest(str(path))
    rows = list(all_figures([BenchmarkedFile('tiny', manifest, path.with_suffix('.tflite'))], 0, 1, tmp_path))
    assert [row.way for row in rows] == ['depth_ros, litert', 'depth_ros, litert, image to depth']
    assert not any(row.problem for row in rows), rows


def test_the_command_prints_a_table_or_json(tmp_path, capsys):
    path = model(tmp_path / 'net')
    command = ['bench', 'gpu', '--model', str(path), '--repeat', '1']
    assert main([*command, '--json', str(tmp_path / 'figures.json')]) == 0
    printed = capsys.readouterr().out
    assert '| network ' in printed and '| tiny, fp32 ' in printed and 'cpu: bare ONNX Runtime' in printed
    written = json.loads((tmp_path / 'figures.json').read_text())
    assert written['onnxruntime'] == onnxruntime.__version__ and written['repeat'] == 1
    assert {row['device'] for row in written['figures']} >= {'cpu'}
    assert main([*command, '--json', '-']) == 0
    assert json.loads(capsys.readouterr().out).keys() == written.keys()


def test_without_torch_the_command_names_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['bench', 'gpu']) == 1
    error = capsys.readouterr().err
    assert 'are made with torch, transformers and onnx' in error and 'pip install' in error and '--model' in error


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_the_stereo_network_is_the_same_in_its_files_and_in_torch(tmp_path, monkeypatch):
    torch = pytest.importorskip('torch')
    pytest.importorskip('transformers')
    from depth_ros.export.benchmark_networks import stereo_network, torch_figures

    (file, script), module = stereo_network(tmp_path, (96, 64))
    pair = [np.random.default_rng(i).normal(size=(1, 3, 64, 96)).astype(np.float32) for i in range(2)]
    session = onnxruntime.InferenceSession(str(file.path), providers=['CPUExecutionProvider'])
    with torch.no_grad():
        expected = module(*map(torch.from_numpy, pair)).numpy()
    found = session.run(None, dict(zip(('left', 'right'), pair, strict=True)))[0]
    assert found.shape == (1, 1, 64, 96) and np.ptp(found) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    with closing(RUNTIMES['torch'](script.path, RuntimeOptions('cpu'))) as runtime:
        given = dict(zip((each.name for each in script.manifest.inputs), pair, strict=True))
        np.testing.assert_allclose(runtime.infer(given)['output'], expected, rtol=1e-3, atol=1e-3)
    rows = [row for row in all_figures([file, script], 0, 1, tmp_path) if row.device == 'cpu']
    assert [row.way for row in rows][3:] == ['depth_ros, torch', 'depth_ros, torch, image to depth']
    assert not any(row.problem for row in rows), rows
    monkeypatch.setattr(torch, 'compile', lambda each: each)  # which takes a minute
    ways = [(row.way, row.problem) for row in torch_figures(file, module, 0, 1) if row.device == 'cpu']
    assert ways == [('torch eager', ''), ('torch.compile', '')]
