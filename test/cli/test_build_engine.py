"""`depth-ros models build-engine` with real files and a child process; a script replaces the compiler of TensorRT."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from engine_compiler import GPU, child
from tiny_model import STEREO, model

from depth_ros.cli.main import main
from depth_ros.networks import load_network
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.networks.runtimes.tensorrt import engine_for
from depth_ros.pipeline import mono_estimator
from depth_ros.settings.node_settings import MonoSettings

REFERENCE = (
    'import json\nimport numpy as np\nfrom depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions\n'
    "request = json.loads((folder / 'request.json').read_text())\n"
    "found = OnnxRuntime(Path(request['onnx']), RuntimeOptions('cpu')).infer(dict(np.load(folder / 'inputs.npz')))\n"
    "np.savez(folder / 'reference.npz', expected=found[request['reference']])\n"
)


class CpuForTensorrt(OnnxRuntime):
    """ONNX Runtime that runs on the CPU although an engine was requested."""

    def __init__(self, path, options, engines=None, outputs=None):
        super().__init__(path, replace(options, device='cpu'), None, outputs)
        self.engines = engines

    @staticmethod
    def has(device):
        return True


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Replace the GPU and the compiler; return the arguments of the compiler script."""
    chosen = {'act': ''}
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(load_network, 'OnnxRuntime', CpuForTensorrt)
    monkeypatch.setitem(RUNTIMES, 'onnxruntime', CpuForTensorrt)
    monkeypatch.setattr(load_network, 'find_gpu', lambda device=0: GPU)
    monkeypatch.setattr(load_network, 'engine_for', lambda *a: engine_for(*a, child(**chosen)))
    return chosen


def engines(tmp_path):
    """Return the complete entries of the cache."""
    return sorted(path.parent for path in (tmp_path / 'cache/engines').glob('*/key.json'))


@pytest.mark.parametrize('as_file', [True, False], ids=['onnx file', 'manifest'])
def test_the_engine_is_in_the_cache_and_its_folder_is_printed(tmp_path, compiler, capsys, as_file):
    path = model(tmp_path / 'net')
    assert main(['models', 'build-engine', str(path.with_suffix('.onnx') if as_file else path)]) == 0
    printed = capsys.readouterr()
    (entry,) = engines(tmp_path)
    assert (entry / 'net.engine').is_file() and printed.out.rstrip().endswith(f'its engine is in {entry}')
    assert 'building the engine of tiny.onnx: no engine is cached' in printed.err


def test_the_second_call_uses_the_cached_engine(tmp_path, compiler, capsys):
    path = str(model(tmp_path / 'net'))
    assert main(['models', 'build-engine', path]) == 0
    compiler['act'] = 'sys.exit(9)'
    capsys.readouterr()
    assert main(['models', 'build-engine', path]) == 0
    assert 'building' not in capsys.readouterr().err and len(engines(tmp_path)) == 1


def test_half_precision_is_compared_with_full_precision_and_has_its_own_engine(tmp_path, compiler, capsys):
    path = str(model(tmp_path / 'net'))
    assert main(['models', 'build-engine', path]) == 0
    compiler['act'] = REFERENCE
    assert main(['models', 'build-engine', path, '--precision', 'fp16']) == 0
    assert 'fp16 within 0.00% of full precision' in capsys.readouterr().out and len(engines(tmp_path)) == 2


def test_a_node_of_the_same_precision_and_image_size_builds_nothing(tmp_path, compiler):
    path = str(model(tmp_path / 'net'))
    assert main(['models', 'build-engine', path, '--image-size', '320x240']) == 0
    compiler['act'], reports = 'sys.exit(9)', []
    mono_estimator(MonoSettings(model=path, device='tensorrt', image_size='320x240'), ProgressListener(reports.append))
    assert reports == []


def test_an_engine_is_built_for_a_stereo_network(tmp_path, compiler, capsys):
    path = model(tmp_path / 'net', STEREO, plus=4.0)
    assert main(['models', 'build-engine', str(path)]) == 0
    assert len(engines(tmp_path)) == 1, capsys.readouterr()


@pytest.mark.parametrize(
    ('act', 'text'),
    [
        ("print('no kernel for DeformConv'); sys.exit(3)", 'no kernel for DeformConv. Try device: cuda'),
        ('import os; os.kill(os.getpid(), 11)', 'exit code -11'),
    ],
)
def test_a_failed_build_is_exit_code_1_with_the_reason_and_leaves_nothing(tmp_path, compiler, capsys, act, text):
    compiler['act'] = act
    assert main(['models', 'build-engine', str(model(tmp_path / 'net'))]) == 1
    assert text in capsys.readouterr().err
    assert engines(tmp_path) == [] and not list((tmp_path / 'cache/engines').glob('.*'))


@pytest.mark.parametrize('hindrance', ['no gpu', 'no folder'])
def test_an_engine_that_cannot_be_stored_is_exit_code_1(tmp_path, compiler, capsys, monkeypatch, hindrance):
    if hindrance == 'no gpu':
        monkeypatch.setattr(load_network, 'find_gpu', lambda device=0: None)
    else:
        (tmp_path / 'cache').write_text('a file instead of the folder')
    assert main(['models', 'build-engine', str(model(tmp_path / 'net'))]) == 1
    printed = capsys.readouterr()
    assert 'its engine could not be stored' in printed.err and 'engine is in' not in printed.out


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (('--image-size', 'large'), "image_size is 'large'; expected WxH such as 640x480"),
        (('--precision', 'int8'), 'invalid choice'),
    ],
)
def test_the_error_for_an_invalid_argument_names_it(tmp_path, compiler, capsys, arguments, text):
    try:
        assert main(['models', 'build-engine', str(model(tmp_path / 'net')), *arguments]) == 1
    except SystemExit as error:
        assert error.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.skipif(OnnxRuntime.has('tensorrt'), reason='this ONNX Runtime has TensorRT')
def test_without_tensorrt_one_line_names_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    assert main(['models', 'build-engine', str(model(tmp_path / 'net'))]) == 1
    error = capsys.readouterr().err
    assert "device 'tensorrt' needs TensorrtExecutionProvider" in error and 'onnxruntime-gpu' in error
    assert error.count('\n') == 1 and engines(tmp_path) == []


INTERRUPTED = """
import sys
sys.path.insert(0, {test!r})
from engine_compiler import GPU, child
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.tensorrt import engine_for
from depth_ros.cli.main import main
from depth_ros.networks import load_network
OnnxRuntime.has = staticmethod(lambda device: True)
load_network.find_gpu = lambda device=0: GPU
load_network.engine_for = lambda *a: engine_for(*a, child(seconds=60))
sys.exit(main(['models', 'build-engine', {path!r}]))
"""


def test_ctrl_c_ends_the_build_and_its_child_and_leaves_nothing(tmp_path):
    script = INTERRUPTED.format(test=str(Path(__file__).parents[1]), path=str(model(tmp_path / 'net')))
    process = subprocess.Popen(
        [sys.executable, '-c', f'import signal; signal.signal(2, signal.default_int_handler)\n{script}'],
        env={**os.environ, 'DEPTH_ROS_CACHE': str(tmp_path / 'cache')},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert 'building the engine of tiny.onnx' in process.stderr.readline()
        end_s = time.monotonic() + 60
        while not (children := psutil.Process(process.pid).children()):
            assert time.monotonic() < end_s, 'no child was started'
            time.sleep(0.02)
        time.sleep(
            0.5
        )  # the parent is past the start of the child, in which a signal to it alone would leave the child
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and 'Traceback' not in output, output
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert [path for path in (tmp_path / 'cache/engines').iterdir() if path.is_dir()] == []
