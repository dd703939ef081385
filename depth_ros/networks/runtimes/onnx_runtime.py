"""ONNX Runtime as a ``Runtime``: without silent fallback to the CPU, and with the errors of this package."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import DeviceLost, DeviceUnavailable, InferenceError, ModelLoadError, OutOfMemory
from depth_ros.files.install_command import install_command
from depth_ros.networks.runtimes.file_format import check_format
from depth_ros.networks.runtimes.runtime import DEFAULT_OPTIONS, RuntimeOptions, TensorInfo
from depth_ros.types import AnyArray

_PROVIDERS = {
    'tensorrt': 'TensorrtExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'openvino': 'OpenVINOExecutionProvider',
    'cpu': 'CPUExecutionProvider',
}
_AUTO_ORDER = ('cuda', 'openvino', 'cpu')
"""Order in which ``auto`` tries devices. TensorRT first builds an engine for minutes, so it must be requested."""
_OUT_OF_MEMORY_TEXTS = ('out of memory', 'Failed to allocate memory', 'bad allocation', 'CUDA failure 2:')
_DEVICE_LOST_TEXTS = (
    'device lost',
    'CUDA failure 999',
    'CUDA failure 719',
    'CUDA failure 46:',
    'unspecified launch failure',
)


class OnnxRuntime:
    """One loaded ONNX file.

    Args:
        path: The ONNX file.
        options: Options of the session.
        engines: Folder of TensorRT's engine, which is built there if it is missing; None = the engine is not stored.
        outputs: Names of the outputs to compute; None = all.

    Raises:
        ModelLoadError: the file is missing, unreadable or damaged, or needs a newer ONNX Runtime.
        DeviceUnavailable: the device is unavailable and ``allow_fallback`` is false, or ONNX Runtime is not
            installed.
    """

    def __init__(
        self,
        path: Path,
        options: RuntimeOptions = DEFAULT_OPTIONS,
        engines: Path | None = None,
        outputs: Collection[str] | None = None,
    ) -> None:
        check_format(path, 'ONNX')
        self._library = _onnxruntime()
        self._path = path
        chosen = _choose_device(options, self._library.get_available_providers())
        self._session = self._open(path, options, chosen, engines)
        provider = self._session.get_providers()[0]
        if provider != _PROVIDERS[chosen]:
            message = f"device '{chosen}' was requested, but ONNX Runtime runs {path.name} on {provider}"
            if not options.allow_fallback:
                raise DeviceUnavailable(f'{message}. See its warning above, or set allow_fallback: true')
        self.engines = engines
        self.version = str(self._library.__version__)
        self.device = f'{provider} (ONNX Runtime {self.version})'
        self.inputs = tuple(map(_tensor_info, self._session.get_inputs()))
        self.outputs = tuple(map(_tensor_info, self._session.get_outputs()))
        self._output_names = [o.name for o in self.outputs if outputs is None or o.name in outputs]
        self._run: Any = None

    @staticmethod
    def has(device: str) -> bool:
        """Return whether this ONNX Runtime was built with the provider of a device; it has one for ``auto``.

        Raises:
            DeviceUnavailable: ONNX Runtime is not installed.
        """
        providers = _onnxruntime().get_available_providers()
        return device == 'auto' or _PROVIDERS[device] in providers

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the graph.

        Raises:
            OutOfMemory, DeviceLost, InferenceError: this run failed.
        """
        run = self._run = self._library.RunOptions()
        with _mapped_errors(self._path.name):
            values = self._session.run(self._output_names, dict(tensors), run)
        return dict(zip(self._output_names, values, strict=True))

    def cancel(self) -> None:
        """Terminate the current run; the session remains usable."""
        if self._run is not None:
            self._run.terminate = True

    def close(self) -> None:
        """Release the session."""
        self._session = None

    def _open(self, path: Path, options: RuntimeOptions, chosen: str, engines: Path | None) -> Any:
        settings = self._library.SessionOptions()
        settings.intra_op_num_threads = options.cpu_threads
        settings.inter_op_num_threads = 1
        # Spinning threads would take the cores that the executor needs to receive images.
        settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
        level = {'all': 'ENABLE_ALL', 'extended': 'ENABLE_EXTENDED', 'basic': 'ENABLE_BASIC', 'none': 'DISABLE_ALL'}
        settings.graph_optimization_level = getattr(
            self._library.GraphOptimizationLevel, f'ORT_{level[options.optimization]}'
        )
        settings.log_severity_level = 3
        limit = {'gpu_mem_limit': options.memory_limit_mb << 20} if options.memory_limit_mb else {}
        gpu = {'arena_extend_strategy': 'kSameAsRequested', **limit}
        providers: list[tuple[str, dict[str, Any]]] = [(_PROVIDERS[chosen], gpu if chosen == 'cuda' else {})]
        if chosen == 'tensorrt':
            providers = [(_PROVIDERS['tensorrt'], _tensorrt(options, engines)), (_PROVIDERS['cuda'], gpu)]
        if chosen != 'cpu':
            providers.append((_PROVIDERS['cpu'], {}))
        try:
            return self._library.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # ONNX Runtime raises its own types, and UnicodeDecodeError for damaged names
            if any(known in str(error) for known in _OUT_OF_MEMORY_TEXTS):
                raise OutOfMemory(f'{path.name}: {error}') from error
            raise ModelLoadError(
                f'{path} ({path.stat().st_size} bytes) cannot be loaded by ONNX Runtime {self._library.__version__}: '
                f'{error}. Download or export it again; an unknown operator or opset needs a newer onnxruntime'
            ) from error


def _tensorrt(options: RuntimeOptions, engines: Path | None) -> dict[str, Any]:
    """Return the options of the TensorRT provider (onnxruntime.ai, TensorRT execution provider)."""
    settings: dict[str, Any] = {'trt_fp16_enable': options.precision == 'fp16'}
    if options.memory_limit_mb:
        settings['trt_max_workspace_size'] = options.memory_limit_mb << 20
    if options.batch_shapes is not None:
        smallest, largest = options.batch_shapes
        settings |= {'trt_profile_min_shapes': smallest, 'trt_profile_max_shapes': largest}
        settings['trt_profile_opt_shapes'] = largest  # batches form under load
    if engines is not None:
        folder = str(engines)
        settings |= {'trt_engine_cache_enable': True, 'trt_engine_cache_path': folder}
        settings |= {'trt_timing_cache_enable': True, 'trt_timing_cache_path': folder}
    return settings


def batch_shapes(inputs: Mapping[str, AnyArray], batch: int) -> tuple[str, str]:
    """Return the shapes of the inputs in a batch of 1 and in a larger batch, each as ``name:1x3x480x640,…``."""

    def text(first: int) -> str:
        return ','.join(f'{name}:{"x".join(map(str, (first, *each.shape[1:])))}' for name, each in inputs.items())

    return text(1), text(batch)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceUnavailable(
            f'ONNX Runtime is not installed ({error}): {install_command("onnxruntime")} (or onnxruntime-gpu)'
        ) from error
    return onnxruntime


def _choose_device(options: RuntimeOptions, available: list[str]) -> str:
    """Return the device to open.

    Raises:
        DeviceUnavailable: this ONNX Runtime was built without the provider of the device.
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
    """Raise errors of ONNX Runtime as errors of this package."""
    try:
        yield
    except Exception as error:
        text = f'{name}: {error}'
        if any(known in text for known in _OUT_OF_MEMORY_TEXTS):
            raise OutOfMemory(text) from error
        if any(known in text for known in _DEVICE_LOST_TEXTS):
            raise DeviceLost(text) from error
        raise InferenceError(text) from error


def _tensor_info(node: Any) -> TensorInfo:
    names = {'float': 'float32', 'double': 'float64'}
    dtype = node.type.removeprefix('tensor(').removesuffix(')')
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    return TensorInfo(node.name, np.dtype(names.get(dtype, dtype)).name, shape)
