"""ONNX Runtime, the one engine that we write against, with what it lacks: no silent fallback, typed errors."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from depth_ros.errors import DeviceLost, DeviceUnavailable, InferenceError, ModelLoadError, OutOfMemory
from depth_ros.networks.runtimes.runtime import Precision, TensorInfo
from depth_ros.types import AnyArray

Device = Literal['auto', 'tensorrt', 'cuda', 'openvino', 'cpu']
_PROVIDERS = {
    'tensorrt': 'TensorrtExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'openvino': 'OpenVINOExecutionProvider',
    'cpu': 'CPUExecutionProvider',
}
_AUTO_ORDER = ('cuda', 'openvino', 'cpu')
"""TensorRT builds an engine for minutes at first, so it is never chosen without being asked for."""
_NO_MEMORY = ('out of memory', 'Failed to allocate memory', 'bad allocation', 'CUDA failure 2:')
_LOST = ('device lost', 'CUDA failure 999', 'CUDA failure 719', 'CUDA failure 46:', 'unspecified launch failure')


@dataclass(frozen=True)
class RuntimeOptions:
    """How a session is opened."""

    device: Device = 'auto'
    allow_fallback: bool = False
    """Take the CPU when the device that was asked for cannot be had, instead of refusing."""
    threads: int = 0
    """Of the CPU provider; 0 = one for each core but one, which the executor and the camera need."""
    memory_limit_mb: int = 0
    """Of a GPU; 0 = none."""
    optimization: Literal['all', 'extended', 'basic', 'none'] = 'all'
    """Of the graph."""
    precision: Precision = 'fp32'
    """Of TensorRT's arithmetic; the other providers compute in what the file says."""
    batch_shapes: tuple[str, str] | None = None
    """Smallest and largest shapes that TensorRT's engine is built for (``batch_shapes``); None = those of the inputs
    that it is first run with. An engine is built again when inputs of other shapes arrive."""


class OnnxRuntime:
    """One ONNX file, loaded.

    Args:
        path: The file.
        options: How to open it.
        engines: Folder with TensorRT's engine, which is built into it if it is not there; None = built and not kept.
        outputs: Names of the outputs to compute and copy; None = all.

    Raises:
        ModelLoadError: missing, unreadable, damaged, or made for a newer runtime.
        DeviceUnavailable: the device cannot be had and ``allow_fallback`` is false, or ONNX Runtime is not installed.
    """

    def __init__(
        self,
        path: Path,
        options: RuntimeOptions = RuntimeOptions(),
        engines: Path | None = None,
        outputs: Collection[str] | None = None,
    ) -> None:
        self._runtime = _runtime()
        self._path = path
        chosen = _chosen(options, self._runtime.get_available_providers())
        self._session = self._open(path, options, chosen, engines)
        got = self._session.get_providers()[0]
        if got != _PROVIDERS[chosen]:
            message = f"device '{chosen}' was asked for, but ONNX Runtime runs {path.name} on {got}"
            if not options.allow_fallback:
                raise DeviceUnavailable(f'{message}. Look at its warning above, or set allow_fallback: true')
        self.engines = engines
        self.version = str(self._runtime.__version__)
        self.device = f'{got} (ONNX Runtime {self.version})'
        self.inputs = tuple(map(_info, self._session.get_inputs()))
        self.outputs = tuple(map(_info, self._session.get_outputs()))
        self._wanted = [o.name for o in self.outputs if outputs is None or o.name in outputs]
        self._run: Any = None

    @staticmethod
    def has(device: str) -> bool:
        """Tell whether this ONNX Runtime was built with a device's provider.

        Raises:
            DeviceUnavailable: it is not installed.
        """
        return _PROVIDERS[device] in _runtime().get_available_providers()

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the graph."""
        run = self._run = self._runtime.RunOptions()
        with _mapped_errors(self._path.name):
            values = self._session.run(self._wanted, dict(tensors), run)
        return dict(zip(self._wanted, values, strict=True))

    def cancel(self) -> None:
        """Terminate the run at hand; the session stays usable."""
        if self._run is not None:
            self._run.terminate = True

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def _open(self, path: Path, options: RuntimeOptions, chosen: str, engines: Path | None) -> Any:
        settings = self._runtime.SessionOptions()
        settings.intra_op_num_threads = options.threads or max(1, (os.cpu_count() or 2) - 1)
        settings.inter_op_num_threads = 1
        # Spinning threads would starve the executor of the cores it needs to receive images.
        settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
        level = {'all': 'ENABLE_ALL', 'extended': 'ENABLE_EXTENDED', 'basic': 'ENABLE_BASIC', 'none': 'DISABLE_ALL'}
        settings.graph_optimization_level = getattr(
            self._runtime.GraphOptimizationLevel, f'ORT_{level[options.optimization]}'
        )
        settings.log_severity_level = 3
        limit = {'gpu_mem_limit': options.memory_limit_mb << 20} if options.memory_limit_mb else {}
        gpu = {'arena_extend_strategy': 'kSameAsRequested', **limit}
        providers: list[tuple[str, dict[str, Any]]] = [(_PROVIDERS[chosen], gpu if chosen == 'cuda' else {})]
        if chosen == 'tensorrt':
            providers = [(_PROVIDERS['tensorrt'], _tensorrt(options, engines)), (_PROVIDERS['cuda'], gpu)]
        if chosen != 'cpu':
            providers.append((_PROVIDERS['cpu'], {}))
        if not path.is_file():
            raise ModelLoadError(f'{path} is not a file; expected an ONNX file. See depth-ros models show')
        try:
            return self._runtime.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # the runtime raises its own types, and UnicodeDecodeError for damaged names
            if any(word in str(error) for word in _NO_MEMORY):
                raise OutOfMemory(f'{path.name}: {error}') from error
            raise ModelLoadError(
                f'{path} ({path.stat().st_size} bytes) cannot be loaded by ONNX Runtime {self._runtime.__version__}: '
                f'{error}. Fetch or export it again; an unknown operator or opset needs a newer onnxruntime'
            ) from error


def _tensorrt(options: RuntimeOptions, engines: Path | None) -> dict[str, Any]:
    """Return the provider's options (onnxruntime.ai, TensorRT execution provider)."""
    settings: dict[str, Any] = {'trt_fp16_enable': options.precision == 'fp16'}
    if options.memory_limit_mb:
        settings['trt_max_workspace_size'] = options.memory_limit_mb << 20
    if options.batch_shapes is not None:
        smallest, largest = options.batch_shapes
        settings |= {'trt_profile_min_shapes': smallest, 'trt_profile_max_shapes': largest}
        settings['trt_profile_opt_shapes'] = largest  # batches form when there is most to do
    if engines is not None:
        folder = str(engines)
        settings |= {'trt_engine_cache_enable': True, 'trt_engine_cache_path': folder}
        settings |= {'trt_timing_cache_enable': True, 'trt_timing_cache_path': folder}
    return settings


def batch_shapes(inputs: Mapping[str, AnyArray], batch: int) -> tuple[str, str]:
    """Return the shapes of inputs of batch 1, and of the same inputs in a larger batch, as ``name:1x3x480x640,…``."""

    def text(first: int) -> str:
        return ','.join(f'{name}:{"x".join(map(str, (first, *each.shape[1:])))}' for name, each in inputs.items())

    return text(1), text(batch)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceUnavailable(
            f'ONNX Runtime is not installed ({error}): pip install onnxruntime (CPU) or onnxruntime-gpu'
        ) from error
    return onnxruntime


def _chosen(options: RuntimeOptions, available: list[str]) -> str:
    """Return the device to open.

    Raises:
        DeviceUnavailable: it is not among what this ONNX Runtime was built with.
    """
    if options.device == 'auto':
        return next(name for name in _AUTO_ORDER if _PROVIDERS[name] in available)
    if _PROVIDERS[options.device] in available:
        return options.device
    if options.allow_fallback:
        return 'cpu'
    package = {'openvino': 'onnxruntime-openvino'}.get(options.device, 'onnxruntime-gpu')
    raise DeviceUnavailable(
        f"device '{options.device}' needs {_PROVIDERS[options.device]}; this ONNX Runtime has "
        f'{", ".join(available)}. Install {package}, or set device: auto, or allow_fallback: true'
    )


@contextmanager
def _mapped_errors(name: str) -> Iterator[None]:
    """Turn what ONNX Runtime raises into our errors."""
    try:
        yield
    except Exception as error:
        text = f'{name}: {error}'
        if any(word in text for word in _NO_MEMORY):
            raise OutOfMemory(text) from error
        if any(word in text for word in _LOST):
            raise DeviceLost(text) from error
        raise InferenceError(text) from error


def _info(node: Any) -> TensorInfo:
    names = {'float': 'float32', 'double': 'float64'}
    dtype = node.type.removeprefix('tensor(').removesuffix(')')
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    return TensorInfo(node.name, np.dtype(names.get(dtype, dtype)).name, shape)
