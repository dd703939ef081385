"""Engines for the TensorRT provider of ONNX Runtime: taken from the cache, or built in a child process."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from depth_ros.errors import DeviceUnavailable, InferenceError
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.runtimes.build_engine import NOT_WRITTEN
from depth_ros.networks.runtimes.engine_cache import EngineCache, EngineKey
from depth_ros.networks.runtimes.gpu import Gpu
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import RuntimeOptions
from depth_ros.types import AnyArray

_POLL_S, _REPORT_S = 0.05, 5.0
_BUILD_COMMAND = (sys.executable, '-m', 'depth_ros.networks.runtimes.build_engine')


def engine_for(
    onnx: Path,
    options: RuntimeOptions,
    inputs: Mapping[str, AnyArray],
    main_output: str,
    gpu: Gpu | None,
    onnxruntime: str,
    listener: ProgressListener,
    build_command: Sequence[str] = _BUILD_COMMAND,
) -> Path | None:
    """Return the folder with the engine of a network for one input size, and for the batches in ``options``.

    Args:
        onnx: ONNX file of the network.
        options: Options of the session that will run the engine.
        inputs: One array for each input, of the size that will be used.
        main_output: Name of the output whose full-precision values are stored with a half-precision engine.
        gpu: The GPU to build for; None = unknown, so that no engine is stored.
        onnxruntime: Version of ONNX Runtime.
        listener: Receives progress, and is polled for cancellation.
        build_command: Command of the process that builds the engine.

    Returns:
        None if engines cannot be stored; the session then builds its own at every start.

    Raises:
        DeviceUnavailable: this version of TensorRT takes the precision from the file, or building failed.
        InferenceError: cancelled by the listener.
    """
    if gpu is None:
        listener.report('the version of the GPU or of TensorRT is unavailable; engines are built at every start')
        return None
    if options.precision == 'fp16' and gpu.tensorrt_major >= 11:
        raise DeviceUnavailable(
            f'precision is fp16; TensorRT {gpu.tensorrt} takes the precision from the file. Export the file in half '
            'precision (depth-ros models export --fp16) and set precision: fp32'
        )
    shapes = ', '.join(f'{name} {"x".join(map(str, array.shape))}' for name, array in sorted(inputs.items()))
    if options.batch_shapes is not None:
        shapes = ' to '.join(options.batch_shapes)
    settings = f'memory_limit_mb={options.memory_limit_mb} optimization={options.optimization}'
    key = EngineKey(
        onnx.name, sha256(onnx), gpu.tensorrt, onnxruntime, gpu.name, gpu.compute_capability, options.precision, shapes,
        settings,
    )  # fmt: skip
    request = {
        'onnx': str(onnx.resolve()),
        'options': asdict(replace(options, cuda_graph=False)),
        'reference': main_output if options.precision == 'fp16' else '',
    }

    def build(folder: Path) -> None:
        inputs_file = folder / 'inputs.npz'
        np.savez(inputs_file, **inputs)  # type: ignore[arg-type]
        (folder / 'request.json').write_text(json.dumps(request), encoding='utf-8')
        _run_build([*build_command, str(folder)], folder / 'log', onnx.name, listener)
        inputs_file.unlink()

    return EngineCache(cache_folder() / 'engines', listener).get(key, build)


def _run_build(command: Sequence[str], log: Path, name: str, listener: ProgressListener) -> None:
    """Run the child process; report progress every few seconds, and kill the process if the listener cancels.

    Raises:
        DeviceUnavailable: the process failed.
        InferenceError: cancelled by the listener.
        OSError: the process could not write the engine.
    """
    started_s = reported_s = time.monotonic()
    with log.open('wb') as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        while process.poll() is None:
            if listener.cancelled():
                raise InferenceError(f'building the engine of {name} was cancelled')
            now_s = time.monotonic()
            if now_s - reported_s >= _REPORT_S:
                reported_s = now_s
                listener.report(f'building the engine of {name}: {now_s - started_s:.0f} s')
            time.sleep(_POLL_S)
    finally:
        process.kill()
        process.wait()
    if process.returncode == NOT_WRITTEN:
        raise OSError('no engine was written')
    if process.returncode:
        last_lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()[-3:]
        raise DeviceUnavailable(
            f'the engine of {name} cannot be built (exit code {process.returncode}): {" / ".join(last_lines)}. '
            'Try device: cuda, or another export (docs/models.md)'
        )
