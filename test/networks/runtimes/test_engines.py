"""Engines of TensorRT (F7 to F11) with real files, locks and processes; only the compiler is replaced.

The child process is a small script with the interface of ``build_engine``: it is given a folder and writes files there.
"""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from engine_compiler import GPU, child
from tiny_model import model, with_free_batch

from depth_ros.errors import DeviceUnavailable, InferenceError
from depth_ros.networks import load_network
from depth_ros.networks.runtimes import build_engine
from depth_ros.networks.runtimes.engine_cache import EngineCache, EngineKey
from depth_ros.networks.runtimes.gpu import find_gpu, version_of
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions, batch_shapes
from depth_ros.networks.runtimes.onnx_session import tensorrt_options
from depth_ros.networks.runtimes.progress import NO_LISTENER, ProgressListener
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.networks.runtimes.tensorrt import engine_for

KEY = EngineKey('net.onnx', 'a' * 64, '10.3.0', '1.23.0', 'NVIDIA RTX 4090', '8.9', 'fp16', 'image 1x3x480x640', '')


class Reports(list):
    """Recorded progress reports; ``cancel()`` cancels the preparation."""

    def __init__(self):
        super().__init__()
        self._cancelled = threading.Event()
        self.cancel = self._cancelled.set
        self.listener = ProgressListener(self.append, self._cancelled.is_set)


@pytest.fixture
def reports():
    return Reports()


def writes(content=b'engine'):
    """Return a builder that counts its calls."""

    def build(folder):
        build.calls += 1
        (folder / 'net.engine').write_bytes(content)

    build.calls = 0
    return build


def test_an_engine_is_built_once_and_reused(tmp_path, reports):
    build = writes()
    first = EngineCache(tmp_path, reports.listener).get(KEY, build)
    assert EngineCache(tmp_path, reports.listener).get(KEY, build) == first and build.calls == 1
    assert (first / 'net.engine').read_bytes() == b'engine'
    assert reports == ['building the engine of net.onnx: no engine is cached']


@pytest.mark.parametrize('name', [f.name for f in fields(EngineKey) if f.name != 'model'])
def test_f7_a_difference_in_any_field_of_the_key_builds_another_engine_and_is_reported(tmp_path, reports, name):
    build = writes()
    cache = EngineCache(tmp_path, reports.listener)
    first = cache.get(KEY, build)
    other = replace(KEY, **{name: 'something else'})
    second = cache.get(other, build)
    assert second != first and build.calls == 2
    assert reports[-1] == f'building the engine of net.onnx: {name} was {getattr(KEY, name)}, is something else'
    assert cache.get(KEY, build) == first and build.calls == 2  # both are kept


def flip(path):
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ('damage', 'text'),
    [
        (lambda entry: (entry / 'net.engine').write_bytes(b''), 'net.engine has another checksum'),
        (lambda entry: (entry / 'net.engine').write_bytes(b'eng'), 'net.engine has another checksum'),
        (lambda entry: flip(entry / 'net.engine'), 'net.engine has another checksum'),
        (lambda entry: (entry / 'net.engine').unlink(), 'is damaged'),
        (lambda entry: (entry / 'key.json').unlink(), 'is damaged'),
        (lambda entry: (entry / 'key.json').write_text('{"key": []'), 'is damaged'),
        (lambda entry: (entry / 'key.json').write_text('[]'), 'is damaged'),
        (lambda entry: (entry / 'key.json').write_text('{"key": {}, "files": {}}'), 'built for another configuration'),
    ],
)
def test_f8_a_damaged_or_foreign_entry_is_built_again_once(tmp_path, reports, damage, text):
    build = writes()
    cache = EngineCache(tmp_path, reports.listener)
    damage(cache.get(KEY, build))
    entry = cache.get(KEY, build)
    assert build.calls == 2 and text in reports[-1]
    assert (entry / 'net.engine').read_bytes() == b'engine'
    cache.get(KEY, build)
    assert build.calls == 2


def test_f9_with_a_read_only_folder_engines_are_built_in_memory_with_one_warning(tmp_path, reports):
    (tmp_path / 'file').write_text('')
    build = writes()
    assert EngineCache(tmp_path / 'file/engines', reports.listener).get(KEY, build) is None
    assert build.calls == 0 and len(reports) == 1
    assert 'cannot be written' in reports[0] and 'DEPTH_ROS_CACHE' in reports[0]


def test_f9_a_full_disk_leaves_nothing_behind(tmp_path, reports):
    def build(folder):
        (folder / 'net.engine').write_bytes(b'half of an eng')
        raise OSError(28, 'No space left on device')

    assert EngineCache(tmp_path, reports.listener).get(KEY, build) is None
    assert 'No space left on device' in reports[-1]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_build_that_fails_leaves_nothing_behind_and_can_be_tried_again(tmp_path, reports):
    def fails(folder):
        raise DeviceUnavailable('no')

    cache = EngineCache(tmp_path, reports.listener)
    with pytest.raises(DeviceUnavailable):
        cache.get(KEY, fails)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    assert cache.get(KEY, writes()) is not None


BUILDER = """
import sys, time
from pathlib import Path
from depth_ros.networks.runtimes.engine_cache import EngineCache, EngineKey
from depth_ros.networks.runtimes.progress import ProgressListener

def build(folder):
    print('building', flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / 'net.engine').write_bytes(b'engine')

print(EngineCache(Path(sys.argv[1]), ProgressListener(lambda text: print(text, flush=True))).get({key!r}, build), flush=True)
"""


def builder(folder, seconds):
    command = [sys.executable, '-c', BUILDER.format(key=KEY), str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_f10_two_processes_build_one_engine_once(tmp_path):
    first = builder(tmp_path, 4.0)
    for line in first.stdout:
        if line == 'building\n':
            break
    second = builder(tmp_path, 1.0)
    assert 'another process is building the same engine' in second.stdout.readline()
    outputs = [process.communicate(timeout=20)[0] for process in (first, second)]
    assert 'building\n' not in outputs[1]
    assert outputs[0].splitlines()[-1] == outputs[1].splitlines()[-1]


@pytest.mark.slow
def test_f10_a_process_killed_while_building_leaves_no_lock_and_no_leftovers(tmp_path):
    killed = builder(tmp_path, 60.0)
    for line in killed.stdout:
        if line == 'building\n':
            break
    killed.kill()
    killed.communicate()
    done, _ = builder(tmp_path, 0.0).communicate(timeout=20)
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert len(folders) == 1 and not folders[0].startswith('.') and done.splitlines()[-1].endswith(folders[0])


@pytest.mark.slow
def test_waiting_for_another_process_can_be_cancelled(tmp_path, reports):
    other = builder(tmp_path, 60.0)
    for line in other.stdout:
        if line == 'building\n':
            break
    reports.cancel()
    with pytest.raises(InferenceError, match='cancelled while another process'):
        EngineCache(tmp_path, reports.listener).get(KEY, writes())
    other.kill()
    other.communicate()


# The child process.


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    return model(tmp_path / 'net').with_suffix('.onnx')


def engine(network, listener, command, gpu=GPU, **options):
    inputs = {'image': np.zeros((1, 3, 48, 64), np.float32)}
    return engine_for(network, RuntimeOptions('tensorrt', **options), inputs, 'depth', gpu, '1.23.0', listener, command)


def test_the_child_receives_the_options_and_its_files_are_stored(network, reports):
    check = "import json; assert json.loads((folder / 'request.json').read_text())['options']['precision'] == 'fp16'"
    entry = engine(network, reports.listener, child(act=check), precision='fp16')
    assert (entry / 'net.engine').stat().st_size == 600
    assert entry == engine(network, reports.listener, child(act='raise SystemExit(9)'), precision='fp16')


def test_new_weights_of_the_same_structure_get_their_own_engine(network, reports, tmp_path):
    first = engine(network, reports.listener, child())
    model(tmp_path / 'net', plus=5.0)
    assert engine(network, reports.listener, child()) != first and 'onnx_sha256 was' in reports[-1]


def test_f11_a_long_build_reports_and_can_be_cancelled(network, reports, monkeypatch):
    monkeypatch.setattr('depth_ros.networks.runtimes.tensorrt._REPORT_S', 0.2)
    caught = []

    def build():
        try:
            engine(network, reports.listener, child(seconds=60))
        except InferenceError as error:
            caught.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    time.sleep(1.5)
    assert sum('building the engine of tiny.onnx: 1 s' in text for text in reports) >= 1
    reports.cancel()
    thread.join(2.0)
    assert not thread.is_alive() and 'was cancelled' in str(caught[0])


def test_the_error_for_a_failed_child_contains_its_last_output(network, reports):
    with pytest.raises(DeviceUnavailable, match=r'exit code 3.*: no kernel for DeformConv. Try device: cuda'):
        engine(network, reports.listener, child(act="print('no kernel for DeformConv'); sys.exit(3)"))
    with pytest.raises(DeviceUnavailable, match=r'exit code -11'):
        engine(network, reports.listener, child(act='import os; os.kill(os.getpid(), 11)'))


def test_f9_an_engine_that_could_not_be_written_is_built_in_memory(network, reports):
    assert engine(network, reports.listener, child(act=f'sys.exit({build_engine.NOT_WRITTEN})')) is None
    assert 'is built in memory' in reports[-1]


def test_without_a_known_gpu_no_engine_is_stored(network, reports):
    assert engine(network, reports.listener, child(), gpu=None) is None and 'is unavailable' in reports[0]


def test_half_precision_by_flag_is_refused_where_tensorrt_has_none(network, reports):
    with pytest.raises(DeviceUnavailable, match=r'TensorRT 11\.4\.0 takes the precision from the file'):
        engine(network, reports.listener, child(), gpu=replace(GPU, tensorrt='11.4.0'), precision='fp16')


def test_the_child_of_a_killed_parent_ends_too(tmp_path):
    script = (
        'import subprocess, sys, time\n'
        "code = 'from depth_ros.networks.runtimes.build_engine import _end_with_parent; _end_with_parent(); import time; "
        "print(1, flush=True); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)\n"
        'child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)\n'
    )
    parent = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    end_s = time.monotonic() + 5
    while Path(f'/proc/{pid}/stat').exists() and Path(f'/proc/{pid}/stat').read_text().split()[2] != 'Z':
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.mark.skipif(
    'TensorrtExecutionProvider' in __import__('onnxruntime').get_available_providers(), reason='has TensorRT'
)
def test_the_real_child_names_the_missing_provider(network, reports):
    with pytest.raises(DeviceUnavailable, match="device 'tensorrt' needs TensorrtExecutionProvider"):
        engine(network, reports.listener, [sys.executable, '-m', 'depth_ros.networks.runtimes.build_engine'])


def test_versions_and_gpus_are_read_from_the_libraries():
    assert [version_of(n) for n in (8601, 100300, 101302, 110400)] == ['8.6.1', '10.3.0', '10.13.2', '11.4.0']
    found = find_gpu()
    assert found is None or (found.name and found.tensorrt_major >= 8)


# Loading of networks, with the CPU instead of TensorRT.


@pytest.fixture
def opened(monkeypatch):
    """Allow networks to be loaded for TensorRT; return options, folder and outputs of every session."""
    opened = []

    class RecordingRuntime(OnnxRuntime):
        def __init__(self, path, options, engines=None, outputs=None):
            opened.append((options, engines, outputs))
            super().__init__(path, replace(options, device='cpu'), None, outputs)
            self.engines = engines

        @staticmethod
        def has(device):
            return True

    monkeypatch.setattr(load_network, 'OnnxRuntime', RecordingRuntime)
    monkeypatch.setitem(RUNTIMES, 'onnxruntime', RecordingRuntime)
    monkeypatch.setattr(load_network, 'find_gpu', lambda device=0: GPU)
    return opened


@pytest.mark.slow
def test_a_network_is_loaded_with_its_engine_and_compared_with_full_precision(network, reports, monkeypatch, opened):
    from depth_ros.pipeline import mono_estimator
    from depth_ros.settings.node_settings import MonoSettings

    reference = (
        'import numpy as np; from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions; import json\n'
        "onnx = Path(json.loads((folder / 'request.json').read_text())['onnx'])\n"
        "found = OnnxRuntime(onnx, RuntimeOptions('cpu')).infer(dict(np.load(folder / 'inputs.npz')))\n"
        "np.savez(folder / 'reference.npz', expected=found['depth'] * {factor})\n"
    )
    monkeypatch.setattr(load_network, 'engine_for', lambda *a: engine_for(*a, child(act=reference.format(factor=1.01))))
    settings = MonoSettings(model=str(network), device='tensorrt', precision='fp16', image_size='320x240')
    estimator = mono_estimator(settings, reports.listener)
    assert (
        opened[-1][0].device == 'tensorrt' and (opened[-1][1] / 'net.engine').is_file() and opened[-1][2] == ('depth',)
    )
    assert 'fp16 within 0.99% of full precision' in estimator.name
    assert mono_estimator(settings, NO_LISTENER).name == estimator.name
    assert [p.name for p in Path(os.environ['DEPTH_ROS_CACHE']).iterdir()] == ['engines']


@pytest.mark.parametrize(('dynamic', 'cameras', 'largest'), [(True, 3, 3), (True, 20, 8), (True, 1, 1), (False, 3, 1)])
def test_an_engine_is_built_for_the_batches_of_all_cameras_that_share_it(
    tmp_path, network, reports, monkeypatch, opened, dynamic, cameras, largest
):
    from depth_ros.pipeline import mono_estimator
    from depth_ros.settings.node_settings import MonoSettings

    if dynamic:
        with_free_batch(network.with_suffix('.yaml'))
    keep = f"(Path({str(tmp_path)!r}) / 'request.json').write_text((folder / 'request.json').read_text())"
    monkeypatch.setattr(load_network, 'engine_for', lambda *a: engine_for(*a, child(act=keep)))
    settings = MonoSettings(model=str(network), device='tensorrt', image_size='64x48')
    estimator = mono_estimator(settings, reports.listener, cameras)
    expected = ['image:1x3x48x64', f'image:{largest}x3x48x64'] if largest > 1 else None
    assert estimator.largest_batch == largest
    assert json.loads((tmp_path / 'request.json').read_text())['options']['batch_shapes'] == expected
    assert opened[-1][0].batch_shapes == (tuple(expected) if expected else None)  # the session requests no others
    (key,) = Path(os.environ['DEPTH_ROS_CACHE']).glob('engines/*/key.json')
    shapes = json.loads(key.read_text())['key']['shapes']
    assert shapes == (' to '.join(expected) if expected else 'image 1x3x48x64')


def test_an_engine_for_fewer_cameras_is_not_used_for_more(network, reports, monkeypatch, opened):
    from depth_ros.pipeline import mono_estimator
    from depth_ros.settings.node_settings import MonoSettings

    with_free_batch(network.with_suffix('.yaml'))
    monkeypatch.setattr(load_network, 'engine_for', lambda *a: engine_for(*a, child()))
    settings = MonoSettings(model=str(network), device='tensorrt', image_size='64x48')
    folders = []
    for cameras in (1, 2, 4, 2):
        mono_estimator(settings, reports.listener, cameras).close()
        folders.append(opened[-1][1])
    assert len(set(folders)) == 3 and folders[1] == folders[3]


def test_device_id_selects_the_gpu_for_which_the_engine_is_built(network, reports, monkeypatch, opened):
    from depth_ros.pipeline import mono_estimator
    from depth_ros.settings.node_settings import MonoSettings

    gpus = {0: GPU, 1: GPU, 2: replace(GPU, name='NVIDIA T4', compute_capability='7.5')}
    monkeypatch.setattr(load_network, 'find_gpu', gpus.get)
    act = "import json; assert json.loads((folder / 'request.json').read_text())['options']['cuda_graph'] is False"
    monkeypatch.setattr(load_network, 'engine_for', lambda *a: engine_for(*a, child(act=act)))
    folders = []
    for number in gpus:
        settings = MonoSettings(model=str(network), device='tensorrt', image_size='64x48', device_id=number)
        mono_estimator(settings, reports.listener).close()
        folders.append(opened[-1][1])
        assert opened[-1][0].device_id == number
    assert folders[0] == folders[1] != folders[2]  # equal GPUs share an engine
    assert 'gpu was NVIDIA RTX 4090, is NVIDIA T4' in reports[-1]


def test_the_options_of_tensorrt_contain_the_smallest_and_the_largest_batch():
    inputs = {'image': np.zeros((1, 3, 48, 64), np.float32), 'focal': np.zeros((1, 1), np.float32)}
    options = RuntimeOptions('tensorrt', batch_shapes=batch_shapes(inputs, 4))
    profile = {key: value for key, value in tensorrt_options(options, None).items() if key.startswith('trt_profile')}
    assert profile == {
        'trt_profile_min_shapes': 'image:1x3x48x64,focal:1x1',
        'trt_profile_max_shapes': 'image:4x3x48x64,focal:4x1',
        'trt_profile_opt_shapes': 'image:4x3x48x64,focal:4x1',
    }
    assert not any(key.startswith('trt_profile') for key in tensorrt_options(RuntimeOptions('tensorrt'), None))


def test_the_engine_of_several_cameras_can_be_built_ahead_of_time(network, reports, monkeypatch, opened, capsys):
    from depth_ros.cli.main import main
    from depth_ros.pipeline import mono_estimator
    from depth_ros.settings.node_settings import MonoSettings

    with_free_batch(network.with_suffix('.yaml'))
    monkeypatch.setattr(load_network, 'engine_for', lambda *a: engine_for(*a, child()))
    command = ['models', 'build-engine', str(network), '--image-size', '64x48', '--cameras']
    assert main([*command, '3']) == 0
    settings = MonoSettings(model=str(network), device='tensorrt', image_size='64x48')
    mono_estimator(settings, reports.listener, 3).close()
    assert len(list(Path(os.environ['DEPTH_ROS_CACHE']).glob('engines/*/key.json'))) == 1 and not reports
    assert main([*command, '0']) == 1 and '--cameras is 0; expected at least 1' in capsys.readouterr().err
