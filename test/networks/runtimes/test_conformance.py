"""What every registered runtime must do, with real files and the real libraries."""

import functools
import gc
import os
import re
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from runtime_files import FILES

from depth_ros.errors import DeviceUnavailable, InferenceError, ModelLoadError
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.networks.runtimes.runtime import RuntimeOptions


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] * (each.library == 'torch')) for name, each in FILES.items()]
)
def files(request):
    """Return the files of each runtime; the tests skip where its library is not installed. Importing torch is slow."""
    pytest.importorskip(FILES[request.param].library)
    return FILES[request.param]


def opened(files, path, **options):
    return RUNTIMES[files.runtime](path, RuntimeOptions('cpu', **options))


@pytest.fixture
def path(files, tmp_path):
    return files.write(tmp_path / f'tiny{files.suffix}')


@pytest.fixture
def runtime(files, path):
    with closing(opened(files, path)) as runtime:
        yield runtime


def test_every_registered_runtime_is_tested_here_and_has_an_extra_of_its_name():
    assert {each.runtime for each in FILES.values()} == set(RUNTIMES)
    setup = (Path(__file__).parents[3] / 'setup.py').read_text()
    assert all(re.search(rf"^        '{name}': \[", setup, re.M) for name in RUNTIMES)


def test_a_runtime_describes_its_device_and_tensors(files, runtime):
    assert runtime.device and isinstance(runtime.device, str) and runtime.engines is None
    assert runtime.inputs == files.inputs and runtime.outputs == files.outputs


def test_a_runtime_computes_the_outputs_by_name(files, runtime):
    outputs = runtime.infer(files.image())
    assert list(outputs) == [files.output] and outputs[files.output].dtype == np.float32
    np.testing.assert_allclose(outputs[files.output], np.full(files.shape(48, 64), 7.0), atol=1e-5)


def test_only_the_requested_outputs_are_returned(files, path):
    with closing(RUNTIMES[files.runtime](path, RuntimeOptions('cpu'), outputs=('another',))) as runtime:
        if files.runtime != 'onnxruntime':  # which takes an empty list for all
            assert runtime.infer(files.image()) == {}
    with closing(RUNTIMES[files.runtime](path, RuntimeOptions('cpu'), outputs=(files.output,))) as runtime:
        assert list(runtime.infer(files.image())) == [files.output]


def test_a_graph_of_any_size_follows_the_size_of_the_image(files, runtime):
    for height, width in ((48, 64), (31, 17), (96, 128), (48, 64)):
        result = runtime.infer(files.image(height, width, 2.0))[files.output]
        np.testing.assert_allclose(result, np.full(files.shape(height, width), 3.0), atol=1e-5)


@pytest.mark.parametrize('wrong', ['rank', 'channels', 'name', 'none', 'type'])
def test_wrong_inputs_raise_an_inference_error_and_the_runtime_remains_usable(files, runtime, wrong):
    image = files.image()['image']
    channels = 1 if files.layout == 'NCHW' else 3
    given = {
        'rank': {'image': image[0]},
        'channels': {'image': np.repeat(image, 2, axis=channels)},
        'name': {'picture': image},
        'none': {},
        'type': {'image': image.astype(np.float64)},
    }[wrong]
    if files.suffix == '.pt' and wrong != 'name' and wrong != 'none':
        pytest.skip('TorchScript states neither types nor shapes of its inputs')
    with pytest.raises(InferenceError):
        runtime.infer(given)
    assert runtime.infer(files.image())[files.output].shape == files.shape(48, 64)


def test_a_result_is_not_changed_by_the_next_run(files, runtime):
    first = runtime.infer(files.image(value=6.0))[files.output]
    runtime.infer(files.image(value=9.0))
    assert (first == 7.0).all()


def test_cancel_without_a_run_has_no_effect(files, runtime):
    for _ in range(2):
        runtime.cancel()
        assert runtime.infer(files.image())[files.output].shape == files.shape(48, 64)


@pytest.mark.slow
def test_cancel_makes_a_running_infer_raise_and_the_runtime_remains_usable(files, tmp_path):
    with closing(opened(files, files.write_slow(tmp_path / f'slow{files.suffix}'))) as slow:
        timer = threading.Timer(0.05, slow.cancel)
        timer.start()
        with pytest.raises(InferenceError):
            slow.infer(files.image(120, 160))
        timer.join()
        assert slow.infer(files.image(16, 16))


def test_a_closed_runtime_raises_an_inference_error(files, path):
    runtime = opened(files, path)
    runtime.infer(files.image())
    runtime.close()
    with pytest.raises(InferenceError):
        runtime.infer(files.image())


@pytest.mark.slow
def test_memory_is_flat_over_2000_runs(files, runtime):
    images = [files.image(48, 64), files.image(48, 64, 3.0)]
    for i in range(300):
        runtime.infer(images[i % 2])
    gc.collect()
    before = psutil.Process().memory_info().rss
    for i in range(2000):
        runtime.infer(images[i % 2])
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 2 << 20  # one lost image per run would be 70 MB


def test_two_instances_at_once_do_not_affect_each_other(files, path, tmp_path):
    results = {value: [] for value in (2.0, 5.0)}
    with closing(opened(files, path)) as first, closing(opened(files, path)) as second:

        def run(runtime, value):
            for _ in range(50):
                results[value].append(runtime.infer(files.image(value=value))[files.output])

        threads = [threading.Thread(target=run, args=each) for each in ((first, 2.0), (second, 5.0))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(
        len(found) == 50 and all((each == value + 1).all() for each in found) for value, found in results.items()
    )


CHILD = """
import resource, sys
import numpy as np, psutil
from pathlib import Path
from depth_ros.errors import DepthRosError
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.networks.runtimes.runtime import RuntimeOptions

def zeros(shape):
    return {'image': np.zeros(tuple(map(int, shape.split('x'))), np.float32)}

name, slow, tiny, small, large = sys.argv[1:]
warm_up = RUNTIMES[name](Path(slow), RuntimeOptions('cpu', threads=1))
warm_up.infer(zeros(small))
for threads in (1, 4):
    before = psutil.Process().num_threads()
    runtime = RUNTIMES[name](Path(slow), RuntimeOptions('cpu', threads=threads))
    runtime.infer(zeros(small))
    print(psutil.Process().num_threads() - before)
runtime, image = RUNTIMES[name](Path(tiny), RuntimeOptions('cpu', threads=1)), zeros(large)
runtime.infer(zeros(small))
resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + (20 << 20), -1))
try:
    runtime.infer(image)
except DepthRosError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(runtime.infer(zeros(small)).popitem()[1].max())
"""


@pytest.fixture(scope='module')
def in_a_child(tmp_path_factory):
    """Return a function: files of a runtime → what the child prints, which is started once for each runtime."""

    @functools.lru_cache
    def run(files):
        folder = tmp_path_factory.mktemp('child')
        slow, tiny = (write(folder / f'{i}{files.suffix}') for i, write in enumerate((files.write_slow, files.write)))
        shapes = ('x'.join(map(str, files.image(side, side)['image'].shape)) for side in (40, 3000))
        command = [sys.executable, '-W', 'ignore', '-c', CHILD, files.runtime, str(slow), str(tiny), *shapes]
        environment = {name: value for name, value in os.environ.items() if not name.endswith('_NUM_THREADS')}
        ended = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout.split()

    return run


@pytest.mark.slow
def test_the_number_of_threads_is_respected(files, in_a_child):
    """In a process of its own, because libraries keep threads; the calling thread is one of them."""
    assert in_a_child(files)[:2] == ['0', '3']


@pytest.mark.slow
def test_lack_of_memory_has_its_own_error_and_the_runtime_remains_usable(files, in_a_child):
    """LiteRT does not tell it from other failures of a run."""
    error, value = in_a_child(files)[2:]
    assert error == ('InferenceError' if files.runtime == 'litert' else 'OutOfMemory') and float(value) == 1.0


@pytest.mark.parametrize('damage', ['missing', 'empty', 'noise', 'cut'])
def test_a_damaged_file_is_refused_with_its_path(files, path, damage):
    content = path.read_bytes()
    path.unlink()
    if damage != 'missing':
        noise = np.random.default_rng(0).bytes(500)
        path.write_bytes({'empty': b'', 'noise': noise, 'cut': content[: len(content) // 2]}[damage])
    with pytest.raises(ModelLoadError, match=re.escape(str(path))):
        opened(files, path)


def test_an_unknown_operator_is_refused_with_the_remedy(files, tmp_path):
    if files.write_unknown is None:
        pytest.skip('torch cannot save a file with an operator that it does not know')
    with pytest.raises(ModelLoadError, match=r'NoSuchOperator[\s\S]* an unknown operator .*needs a newer'):
        opened(files, files.write_unknown(tmp_path / f'unknown{files.suffix}'))


@pytest.mark.parametrize('device', ['tensorrt', 'openvino'])
def test_an_unavailable_device_is_refused_or_replaced_by_the_cpu(files, path, device):
    open_file = RUNTIMES[files.runtime]
    if open_file.has(device):
        pytest.skip(f'{files.runtime} has {device} on this machine')
    with pytest.raises(DeviceUnavailable, match=f"device '{device}' .*allow_fallback: true"):
        open_file(path, RuntimeOptions(device))
    with closing(open_file(path, RuntimeOptions(device, allow_fallback=True))) as runtime:
        assert runtime.infer(files.image())
    assert open_file.has('auto') and open_file.has('cpu')


def test_a_missing_library_is_reported_with_the_command_that_installs_it(files, path, monkeypatch):
    monkeypatch.setitem(sys.modules, files.library, None)
    with pytest.raises(DeviceUnavailable, match='is not installed .* -m pip install'):
        opened(files, path)
