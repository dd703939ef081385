"""ONNX Runtime as a ``Runtime``: without silent fallback to the CPU, and with the errors of this package."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import DeviceLost, DeviceUnavailable, InferenceError, ModelLoadError, OutOfMemory
from depth_ros.files.install_command import install_command
from depth_ros.networks.runtimes.capture_gate import GATE
from depth_ros.networks.runtimes.cuda_device import cuda_device
from depth_ros.networks.runtimes.device_binding import BoundSession, GraphUnusable
from depth_ros.networks.runtimes.file_format import check_format
from depth_ros.networks.runtimes.gpu import check_device_id, cuda_device_count
from depth_ros.networks.runtimes.onnx_file import has_fixed_shapes
from depth_ros.networks.runtimes.onnx_session import PROVIDERS, open_session
from depth_ros.networks.runtimes.runtime import DEFAULT_OPTIONS, RuntimeOptions, TensorInfo
from depth_ros.types import AnyArray

_LOG = logging.getLogger(__name__)
_CPU = PROVIDERS['cpu']
_BUFFERS = {'cuda': 'cuda', 'tensorrt': 'cuda'}
"""Devices whose sessions run with buffers on the device, and its name in ONNX Runtime."""
_AUTO_ORDER = ('cuda', 'openvino', 'cpu')
"""Order in which ``auto`` tries devices. TensorRT first builds an engine for minutes, so it must be requested."""
_OUT_OF_MEMORY_TEXTS = (
    'out of memory',
    'Failed to allocate memory',
    'bad allocation',
    'CUDA failure 2:',
    'is smaller than requested bytes of',  # of the arena, at gpu_mem_limit
)
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
        self._options = options
        self._device = _choose_device(options, self._library.get_available_providers())
        self.engines = engines
        self.version = str(self._library.__version__)
        self._run: Any = None
        self._bound: BoundSession | None = None
        graph = options.cuda_graph and self._device in _BUFFERS and has_fixed_shapes(path)
        self._session, problem = self._open_with_graph() if graph else (self._open(), '')
        provider = self._session.get_providers()[0]
        if provider != PROVIDERS[self._device]:
            message = f"device '{self._device}' was requested, but ONNX Runtime runs {path.name} on {provider}"
            if not options.allow_fallback:
                raise DeviceUnavailable(f'{message}. See its warning above, or set allow_fallback: true')
        number = f' {options.device_id}' if options.device_id and provider == PROVIDERS[self._device] != _CPU else ''
        self.device = f'{provider}{number} (ONNX Runtime {self.version})'
        self.inputs = tuple(map(_tensor_info, self._session.get_inputs()))
        self.outputs = tuple(map(_tensor_info, self._session.get_outputs()))
        self._output_names = [o.name for o in self.outputs if outputs is None or o.name in outputs]
        if self._device in _BUFFERS and provider == PROVIDERS[self._device]:
            self._bound = self._binding(graph and not problem)
            self._report_no_graph(problem)

    @staticmethod
    def has(device: str) -> bool:
        """Return whether this ONNX Runtime was built with the provider of a device; it has one for ``auto``.

        Raises:
            DeviceUnavailable: ONNX Runtime is not installed.
        """
        providers = _onnxruntime().get_available_providers()
        return device == 'auto' or PROVIDERS[device] in providers

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the graph.

        Raises:
            OutOfMemory, DeviceLost, InferenceError: this run failed.
        """
        run = self._run = self._library.RunOptions()
        with _mapped_errors(self._path.name):
            outputs = self._outputs_of(tensors, run) if self._bound is None else self._run_bound(tensors, run)
        if run.terminate:  # a CUDA graph cannot be interrupted
            raise InferenceError(f'{self._path.name}: the run was cancelled')
        return outputs

    def _outputs_of(self, tensors: Mapping[str, AnyArray], run: Any) -> dict[str, AnyArray]:
        values = self._session.run(self._output_names, dict(tensors), run)
        return dict(zip(self._output_names, values, strict=True))

    def _run_bound(self, tensors: Mapping[str, AnyArray], run: Any) -> dict[str, AnyArray]:
        """Run with buffers on the device; without CUDA graphs from the first time on that one fails."""
        assert self._bound is not None
        try:
            return self._bound.run(tensors, run)
        except GraphUnusable as error:
            self._bound = self._session = None
            self._session = self._open()
            self._bound = self._binding(graph=False)
            self._report_no_graph(str(error))
        return self._bound.run(tensors, run)

    def cancel(self) -> None:
        """Terminate the current run; the session remains usable."""
        if self._run is not None:
            self._run.terminate = True

    def close(self) -> None:
        """Release the session and its buffers."""
        self._bound = self._session = None

    def _binding(self, graph: bool) -> BoundSession:
        """Return the session with buffers on the device."""
        number = self._options.device_id
        infos = {info.name: info for info in self.outputs}
        outputs = [infos[name] for name in self._output_names or infos]
        kind = _BUFFERS[self._device]
        return BoundSession(self._library, self._session, outputs, kind, number, cuda_device(number), graph)

    def _open_with_graph(self) -> tuple[Any, str]:
        """Return a session that can capture CUDA graphs, or one that cannot and the reason.

        Raises:
            ModelLoadError, OutOfMemory: as ``_open``.
        """
        try:
            session = self._open(graph=True)
        except (ModelLoadError, OutOfMemory) as error:
            problem = str(error)
        else:
            if session.get_providers()[0] == PROVIDERS[self._device]:
                return session, ''
            problem = f'{PROVIDERS[self._device]} does not start with it'
        return self._open(), problem

    def _report_no_graph(self, problem: str) -> None:
        if problem:
            _LOG.warning('%s runs without a CUDA graph: %s', self._path.name, ' '.join(problem.split()))

    def _open(self, graph: bool = False) -> Any:
        """Return a session.

        Args:
            graph: Whether the session can capture CUDA graphs.

        Raises:
            ModelLoadError: ONNX Runtime cannot load the file.
            OutOfMemory: not enough memory for the weights.
        """
        path = self._path
        try:
            with GATE.use():
                return open_session(self._library, path, self._device, self._options, self.engines, graph)
        except Exception as error:  # ONNX Runtime raises its own types, and UnicodeDecodeError for damaged names
            if any(known in str(error) for known in _OUT_OF_MEMORY_TEXTS):
                raise OutOfMemory(f'{path.name}: {error}') from error
            raise ModelLoadError(
                f'{path} ({path.stat().st_size} bytes) cannot be loaded by ONNX Runtime {self._library.__version__}: '
                f'{error}. Download or export it again; an unknown operator or opset needs a newer onnxruntime'
            ) from error


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
        DeviceUnavailable: this ONNX Runtime was built without the provider of the device, or there is no device with
            this number.
    """
    chosen: str = options.device
    if chosen == 'auto':
        chosen = next(name for name in _AUTO_ORDER if PROVIDERS[name] in available)
    if PROVIDERS[chosen] in available:
        if _BUFFERS.get(chosen) == 'cuda':
            try:
                check_device_id(options.device_id, cuda_device_count())
            except DeviceUnavailable:
                if not options.allow_fallback:
                    raise
                return 'cpu'
        return chosen
    if options.allow_fallback:
        return 'cpu'
    package = {'openvino': 'onnxruntime-openvino'}.get(options.device, 'onnxruntime-gpu')
    raise DeviceUnavailable(
        f"device '{options.device}' needs {PROVIDERS[options.device]}; this ONNX Runtime has "
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
