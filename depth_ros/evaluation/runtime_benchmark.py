"""Speed of networks in every runtime on every device, beside ONNX Runtime used directly with the same file."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import DeviceUnavailable
from depth_ros.evaluation.stereo_benchmark_report import markdown_table
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.runtimes.cuda_device import cuda_device
from depth_ros.networks.runtimes.device_binding import DeviceBinding
from depth_ros.networks.runtimes.gpu import cuda_device_count
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.onnx_session import PROVIDERS, open_session
from depth_ros.networks.runtimes.registry import ONNX_RUNTIME, RUNTIMES
from depth_ros.networks.runtimes.runtime import Runtime, RuntimeOptions
from depth_ros.networks.self_check import self_check_input
from depth_ros.networks.tensor_check import check_tensors, fixed_size
from depth_ros.types import AnyArray, Camera, Frame, StereoFrame, StereoRig

_WARM_UP = 3
_DEVICES = ('cuda', 'tensorrt', 'openvino', 'cpu')
OURS, BARE = 'depth_ros', 'bare ONNX Runtime'
"""Ways to run a network."""
_ON_CUDA = ('cuda', 'tensorrt')
Tensors = Mapping[str, AnyArray]
Measured = Callable[[], object]
"""A run that is measured."""


@dataclass(frozen=True)
class RunFigures:
    """Figures of one way to run one network. Times are from arrays of the host to arrays of the host."""

    network: str
    file: str
    """Precision of the file: fp32 or fp16."""
    device: str
    way: str
    """What runs the network."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    runs_per_s: float | None = None
    over_bare_ms: float | None = None
    """Median difference to the run of bare ONNX Runtime beside it."""
    upload_ms: float | None = None
    """Copy of the inputs to the GPU, from page-locked memory; from ordinary memory in the row of bare ONNX Runtime."""
    download_ms: float | None = None
    """Copy of the outputs from the GPU, likewise."""
    gpu_memory_mb: float | None = None
    """Memory in use on the GPU with the network loaded, less that before; None if there is no CUDA driver."""
    problem: str = ''
    """Why there are no figures."""


@dataclass(frozen=True)
class BenchmarkedFile:
    """A file to measure."""

    network: str
    manifest: Manifest
    path: Path
    precision: str = 'fp32'
    image: tuple[int, int] = (640, 480)
    """Width and height of the image from which the depth is estimated."""


def devices_of(runtime: str) -> dict[str, str]:
    """Return the devices that a runtime has, and for each the reason why it cannot be used; '' = it can."""
    if runtime != ONNX_RUNTIME:
        return {device: '' for device in ('cuda', 'cpu') if RUNTIMES[runtime].has(device)}
    found = {device: '' for device in _DEVICES if OnnxRuntime.has(device)}
    absent = '' if cuda_device_count() else 'the CUDA driver finds no device'
    return {device: absent if device in _ON_CUDA else '' for device in found}


def measure(runs: Mapping[str, Measured], repeat: int) -> dict[str, list[float]]:
    """Return the times of runs in ms. They take turns, so that a change of the machine's load affects all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(_WARM_UP + repeat):
        for name, run in runs.items():
            started_s = time.perf_counter()
            run()
            if i >= _WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - started_s))
    return times


def with_times(figures: RunFigures, times_ms: Sequence[float], bare_ms: Sequence[float] | None = None) -> RunFigures:
    """Return figures with the statistics of times, and the difference to the times of another way."""
    p50, p99 = (round(float(value), 3) for value in np.percentile(times_ms, (50, 99)))
    over = None if bare_ms is None else round(float(np.median(np.subtract(times_ms, bare_ms))), 3)
    per_second = round(1e3 * len(times_ms) / sum(times_ms), 2)
    return replace(figures, p50_ms=p50, p99_ms=p99, runs_per_s=per_second, over_bare_ms=over)


def onnx_figures(file: BenchmarkedFile, device: str, device_id: int, repeat: int, engines: Path) -> list[RunFigures]:
    """Return the figures of an ONNX file on one device: bare session, ours with and without a CUDA graph, estimate.

    Args:
        file: The file.
        device: Device of ONNX Runtime.
        device_id: Number of the CUDA device.
        repeat: Number of measured runs.
        engines: Folder for TensorRT's engine, which is built once for all.
    """
    base = RunFigures(file.network, file.precision, device, OURS)
    options = RuntimeOptions(device, device_id=device_id)  # type: ignore[arg-type]
    try:
        return list(_onnx_figures(file, base, options, repeat, engines if device == 'tensorrt' else None).values())
    except Exception as error:  # of any library; the other devices are measured all the same
        return [replace(base, problem=' '.join(str(error).split()))]
    finally:
        gc.collect()


def _onnx_figures(
    file: BenchmarkedFile, base: RunFigures, options: RuntimeOptions, repeat: int, engines: Path | None
) -> dict[str, RunFigures]:
    import onnxruntime

    on_cuda = base.device in _ON_CUDA
    with ExitStack() as opened:
        before = _used_mb(options)
        ours = opened.enter_context(closing(OnnxRuntime(file.path, options, engines)))
        tensors, estimate = _inputs(file, ours)
        ours.infer(tensors)
        used = _used_mb(options)
        bare = open_session(onnxruntime, file.path, base.device, options, engines)
        if bare.get_providers()[0] != PROVIDERS[base.device]:
            raise DeviceUnavailable(f'{PROVIDERS[base.device]} does not start')
        runs: dict[str, Measured] = {
            BARE: lambda: bare.run(None, dict(tensors)),
            OURS: lambda: ours.infer(tensors),
            f'{OURS}, image to depth': estimate,
        }
        if on_cuda:
            eager = opened.enter_context(closing(OnnxRuntime(file.path, replace(options, cuda_graph=False), engines)))
            runs[f'{OURS} without a CUDA graph'] = lambda: eager.infer(tensors)
        times = measure(runs, repeat)
        rows = {
            way: with_times(replace(base, way=way), times[way], None if way == BARE else times[BARE]) for way in runs
        }
        rows[OURS] = replace(rows[OURS], gpu_memory_mb=_difference(before, used))
        for way, gpu in ((OURS, cuda_device(options.device_id)), (BARE, None)) if on_cuda else ():
            binding = DeviceBinding(onnxruntime, bare, tensors, ours.outputs, 'cuda', options.device_id, gpu)
            upload_ms, download_ms = _copy_times(binding, tensors, onnxruntime.RunOptions(), repeat)
            rows[way] = replace(rows[way], upload_ms=upload_ms, download_ms=download_ms)
    return rows


def _copy_times(binding: DeviceBinding, tensors: Tensors, options: Any, repeat: int) -> tuple[float, float]:
    """Return the median times of the copies to and from the device, ms."""
    binding.run(tensors, options)
    times = measure({'upload': lambda: binding.upload(tensors), 'download': binding.download}, repeat)
    return round(float(np.median(times['upload'])), 3), round(float(np.median(times['download'])), 3)


def runtime_figures(file: BenchmarkedFile, runtime: str, device: str, device_id: int, repeat: int) -> list[RunFigures]:
    """Return the figures of a file of another runtime than ONNX Runtime on one device."""
    base = RunFigures(file.network, file.precision, device, f'{OURS}, {runtime}')
    try:
        options = RuntimeOptions(device, device_id=device_id)  # type: ignore[arg-type]
        before = _used_mb(options)
        with closing(RUNTIMES[runtime](file.path, options)) as opened:
            tensors, estimate = _inputs(file, opened)
            opened.infer(tensors)
            used = _used_mb(options)
            ways: dict[str, Measured] = {
                base.way: lambda: opened.infer(tensors),
                f'{base.way}, image to depth': estimate,
            }
            rows = [with_times(replace(base, way=way), each) for way, each in measure(ways, repeat).items()]
    except Exception as error:  # of any library
        return [replace(base, problem=' '.join(str(error).split()))]
    finally:
        gc.collect()
    return [replace(rows[0], gpu_memory_mb=_difference(before, used)), *rows[1:]]


def all_figures(files: Sequence[BenchmarkedFile], device_id: int, repeat: int, engines: Path) -> Iterator[RunFigures]:
    """Measure files on all devices of their runtimes; yield figures when they are known."""
    for file in files:
        runtime = file.manifest.runtime.backends[0]
        for device, problem in devices_of(runtime).items():
            if problem:
                yield RunFigures(file.network, file.precision, device, OURS, problem=problem)
            elif file.precision == 'fp16' and device not in _ON_CUDA:
                continue  # the CPU converts such a file to full precision
            elif runtime == ONNX_RUNTIME:
                yield from onnx_figures(file, device, device_id, repeat, engines)
            else:
                yield from runtime_figures(file, runtime, device, device_id, repeat)


def json_figures(rows: Sequence[RunFigures], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures and facts about the machine as plain data."""
    return {**about, 'figures': [asdict(row) for row in rows]}


def markdown_figures(rows: Sequence[RunFigures]) -> str:
    """Return figures as a table in Markdown; rows without figures follow it."""
    heading = ['network', 'device: way', 'p50', 'p99', 'runs/s', 'over bare', 'upload', 'download', 'GPU MB']
    table = [heading]
    for row in rows:
        values = (row.p50_ms, row.p99_ms, row.runs_per_s, row.over_bare_ms, row.upload_ms, row.download_ms)
        cells = ['-' if value is None else f'{value:.2f}' for value in values]
        memory = '-' if row.gpu_memory_mb is None else f'{row.gpu_memory_mb:.0f}'
        if not row.problem:
            table.append([f'{row.network}, {row.file}', f'{row.device}: {row.way}', *cells, memory])
    problems = [f'{row.network}, {row.file}, {row.device}: {row.way}: {row.problem}' for row in rows if row.problem]
    return '\n'.join([markdown_table(table), *([''] if problems else []), *problems])


def _inputs(file: BenchmarkedFile, runtime: Runtime) -> tuple[Tensors, Measured]:
    """Return tensors for a network, and a run from image to depth. The run time does not depend on the content."""
    width, height = file.image
    rng = np.random.default_rng(0)
    camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2)]
    checked = check_tensors(file.manifest, runtime)
    _, tensors = self_check_input(checked, fixed_size(checked, runtime), file.image)
    if file.manifest.task == 'mono':
        mono = MonoNetwork(file.manifest, runtime)
        prompt_m = None
        if mono.prompt_size is not None:
            prompt_m = np.full(mono.prompt_size[::-1], 2.0, np.float32)
        frame = Frame(images[0], camera, prompt_m=prompt_m)
        return tensors, lambda: mono.estimate(frame)
    stereo = StereoNetwork(file.manifest, runtime)
    pair = StereoFrame(images[0], images[1], StereoRig(camera, camera.cx, 0.1))
    return tensors, lambda: stereo.estimate(pair)


def _used_mb(options: RuntimeOptions) -> float | None:
    gpu = cuda_device(options.device_id) if options.device in _ON_CUDA else None
    return gpu.used_memory_mb() if gpu else None


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(after - before, 1)
