"""LiteRT, formerly TensorFlow Lite, as a ``Runtime``: .tflite files in float and int8 on the CPU.

Tensors of a quantised file are float32 for the caller: ``real = (stored - zero point) * scale``, with the two values
that the file states for the tensor (quantization specification of TensorFlow Lite). An output that a quantised
convolution computes is computed in float32 (``float_output``).
"""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depth_ros.errors import DeviceUnavailable, InferenceError, ModelLoadError, OutOfMemory
from depth_ros.files.install_command import install_command
from depth_ros.networks.runtimes.file_format import check_format
from depth_ros.networks.runtimes.float_output import with_float_output
from depth_ros.networks.runtimes.runtime import DEFAULT_OPTIONS, RuntimeOptions, TensorInfo, check_inputs
from depth_ros.types import AnyArray

_QUANTISED = (np.int8, np.uint8, np.int16)


class LitertRuntime:
    """One loaded .tflite file, on the CPU.

    Args:
        path: The file.
        options: Options; ``memory_limit_mb``, ``optimization`` and ``precision`` have no effect.
        engines: Not used.
        outputs: Names of the outputs to return; None = all.

    Raises:
        ModelLoadError: the file is missing or damaged, has another format, or has an operator that this LiteRT does
            not know.
        DeviceUnavailable: a device other than the CPU was requested and ``allow_fallback`` is false, or LiteRT is not
            installed.
    """

    engines: Path | None = None

    def __init__(
        self,
        path: Path,
        options: RuntimeOptions = DEFAULT_OPTIONS,
        engines: Path | None = None,
        outputs: Collection[str] | None = None,
    ) -> None:
        check_format(path, 'TensorFlow Lite')
        if not (self.has(options.device) or options.allow_fallback):
            raise DeviceUnavailable(
                f"device '{options.device}' was requested, but LiteRT runs {path.name} on the CPU only. Set device: "
                'auto or cpu, or allow_fallback: true'
            )
        self._path = path
        self._interpreter = _open(path, options.cpu_threads)
        self._inputs, self._outputs = _tensors(self._interpreter)
        self._shapes = {each.info.name: each.shape for each in self._inputs}
        self._cancelled = False
        self._wanted = [each for each in self._outputs if outputs is None or each.info.name in outputs]
        self.device = f'CPU (LiteRT {version("ai-edge-litert")})'
        self.inputs = tuple(each.info for each in self._inputs)
        self.outputs = tuple(each.info for each in self._outputs)

    @staticmethod
    def has(device: str) -> bool:
        """Return whether LiteRT can use a device.

        Raises:
            DeviceUnavailable: LiteRT is not installed.
        """
        _litert()
        return device in ('auto', 'cpu')

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the graph.

        Raises:
            OutOfMemory, InferenceError: this run failed or was cancelled.
        """
        self._cancelled = False
        if self._interpreter is None:
            raise InferenceError(f'{self._path.name} was used after close()')
        check_inputs(self._path.name, self.inputs, tensors)
        try:
            self._resize(tensors)
            for each in self._inputs:
                self._interpreter.set_tensor(each.tensor, each.stored(tensors[each.info.name]))
            self._interpreter.invoke()
            results = {each.info.name: each.real(self._interpreter.get_tensor(each.tensor)) for each in self._wanted}
        except MemoryError as error:
            raise OutOfMemory(f'{self._path.name}: {error}') from error
        except (RuntimeError, ValueError) as error:
            raise InferenceError(f'{self._path.name}: {error}') from error
        if self._cancelled:
            raise InferenceError(f'{self._path.name}: the run was cancelled')
        return results

    def cancel(self) -> None:
        """Make the current run raise when it ends; LiteRT for Python cannot interrupt it."""
        self._cancelled = True

    def close(self) -> None:
        """Release the interpreter and its threads."""
        self._interpreter = None

    def _resize(self, tensors: Mapping[str, AnyArray]) -> None:
        """Adapt the graph to the shapes of the inputs."""
        shapes = {name: array.shape for name, array in tensors.items()}
        if shapes == self._shapes:
            return
        self._shapes = {}  # unknown, if one of the calls fails
        for each in self._inputs:
            self._interpreter.resize_tensor_input(each.tensor, shapes[each.info.name])
        self._interpreter.allocate_tensors()
        self._shapes = shapes


class _Tensor(NamedTuple):
    """An input or output of the graph."""

    info: TensorInfo
    tensor: int
    """Index of the tensor in the graph."""
    shape: tuple[int, ...]
    """Shape for which memory is allocated."""
    dtype: Any
    """Type in the graph."""
    scale: float
    """0 = not quantised."""
    zero_point: int

    def stored(self, values: AnyArray) -> AnyArray:
        """Return values as the graph takes them."""
        if not self.scale:
            return np.ascontiguousarray(values)
        limits = np.iinfo(self.dtype)
        steps = np.rint(values * np.float32(1 / self.scale)) + np.float32(self.zero_point)
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def real(self, values: AnyArray) -> AnyArray:
        """Return values of the graph as the caller takes them."""
        if not self.scale:
            return values
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


def _litert() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise DeviceUnavailable(f'LiteRT is not installed ({error}): {install_command("litert")}') from error
    return interpreter


def _open(path: Path, threads: int) -> Any:
    """Return an interpreter with allocated tensors.

    Raises:
        ModelLoadError: LiteRT cannot run the file.
    """
    try:
        content = with_float_output(path.read_bytes())
        interpreter = _litert().Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except Exception as error:  # of LiteRT, and of flatbuffers for damaged files
        reason = ' '.join(str(error).split()).rstrip('.')
        raise ModelLoadError(
            f'{path} ({path.stat().st_size} bytes) cannot be loaded by LiteRT {version("ai-edge-litert")}: {reason}. '
            'Download or export it again; an unknown operator needs a newer ai-edge-litert, or an export with the '
            'built-in operators only'
        ) from error
    return interpreter


def _tensors(interpreter: Any) -> tuple[list[_Tensor], list[_Tensor]]:
    """Return inputs and outputs, with the names of the signature if the file has one that names all of them."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    signatures = list(interpreter.get_signature_list())
    names: dict[int, str] = {}
    if len(signatures) == 1:
        runner = interpreter.get_signature_runner(signatures[0])
        named = {**runner.get_input_details(), **runner.get_output_details()}
        names = {details['index']: name for name, details in named.items()}
    if not {each['index'] for each in (*inputs, *outputs)} <= set(names):
        names = {}
    return [_tensor(each, names) for each in inputs], [_tensor(each, names) for each in outputs]


def _tensor(details: Mapping[str, Any], names: Mapping[int, str]) -> _Tensor:
    scale, zero_point = details['quantization'] if details['dtype'] in _QUANTISED else (0.0, 0)
    dtype = np.dtype(np.float32 if scale else details['dtype'])
    declared = details['shape_signature'] if len(details['shape_signature']) else details['shape']
    shape = tuple(None if side < 0 else int(side) for side in declared)
    info = TensorInfo(names.get(details['index'], details['name']), dtype.name, shape)
    return _Tensor(
        info, details['index'], tuple(map(int, details['shape'])), details['dtype'], float(scale), int(zero_point)
    )
