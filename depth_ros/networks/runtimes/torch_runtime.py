"""PyTorch as a ``Runtime``: TorchScript (.pt) and programs of torch.export (.pt2), on the CPU and CUDA.

Only files that contain a graph are read, and never with pickle, which can execute code.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import DeviceLost, DeviceUnavailable, InferenceError, ModelLoadError, OutOfMemory
from depth_ros.files.install_command import install_command
from depth_ros.networks.runtimes.capture_gate import GATE
from depth_ros.networks.runtimes.file_format import check_format
from depth_ros.networks.runtimes.gpu import check_device_id
from depth_ros.networks.runtimes.runtime import DEFAULT_OPTIONS, RuntimeOptions, TensorInfo, check_inputs
from depth_ros.types import AnyArray

_OUT_OF_MEMORY_TEXTS = ('out of memory', "can't allocate memory")
_DEVICE_LOST_TEXTS = ('unspecified launch failure', 'device-side assert', 'illegal memory access', 'device unavailable')


class TorchRuntime:
    """One loaded network.

    Outputs are named ``output`` if there is one, and ``output_0``, ``output_1`` … if there are several, unless the
    program returns a dictionary, whose keys are then the names.

    Args:
        path: TorchScript file or program of torch.export.
        options: Options; ``optimization`` and ``precision`` have no effect.
        engines: Not used.
        outputs: Names of the outputs to return; None = all.

    Raises:
        ModelLoadError: the file is missing or damaged, has another format, or has an operator that this torch does not
            know.
        DeviceUnavailable: the device is unavailable and ``allow_fallback`` is false, or torch is not installed.
    """

    engines: Path | None = None

    def __init__(
        self,
        path: Path,
        options: RuntimeOptions = DEFAULT_OPTIONS,
        engines: Path | None = None,
        outputs: Collection[str] | None = None,
    ) -> None:
        kind = check_format(path, 'TorchScript', 'torch.export')
        self._torch = torch = _torch()
        self._path = path
        self._threads = options.cpu_threads
        self._device = _choose_device(options, path.name)
        self._on_cuda = self._device != 'cpu'
        if self._on_cuda and options.memory_limit_mb:
            total = torch.cuda.get_device_properties(self._device).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, (options.memory_limit_mb << 20) / total), self._device)
        open_file = _open_script if kind == 'TorchScript' else _open_program
        try:
            with self._use():
                opened = open_file(path, self._device)
        except Exception as error:  # torch raises many types for damaged files
            if any(known in str(error) for known in _OUT_OF_MEMORY_TEXTS):
                raise OutOfMemory(f'{path.name}: {error}') from error
            raise ModelLoadError(
                f'{path} ({path.stat().st_size} bytes) cannot be loaded by torch {torch.__version__}: '
                f'{_summary(error)}. Export it again with this version of torch; an unknown operator needs a newer '
                'torch, or the library that defines it'
            ) from error
        self._run: Callable[..., Any] | None = opened[0]
        self.inputs, self.outputs = opened[1:]
        self._wanted = [o.name for o in self.outputs if outputs is None or o.name in outputs]
        self._cancelled = False
        name = f'{torch.cuda.get_device_name(self._device)}, {self._device}' if self._on_cuda else 'CPU'
        self.device = f'{name} (torch {torch.__version__})'

    @staticmethod
    def has(device: str) -> bool:
        """Return whether this torch can use a device.

        Raises:
            DeviceUnavailable: torch is not installed.
        """
        torch = _torch()
        return device in ('auto', 'cpu') or (device == 'cuda' and bool(torch.cuda.is_available()))

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the network.

        Raises:
            OutOfMemory, DeviceLost, InferenceError: this run failed or was cancelled.
        """
        self._cancelled = False
        if self._run is None:
            raise InferenceError(f'{self._path.name} was used after close()')
        check_inputs(self._path.name, self.inputs, tensors)
        torch = self._torch
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)  # applies to the calling thread
        try:
            with self._use(), torch.inference_mode():
                given = [self._on_device(np.ascontiguousarray(tensors[each.name])) for each in self.inputs]
                found = _by_name(self._run(*given))
                received = {name: self._on_host(found[name]) for name in self._wanted}
                if self._on_cuda:
                    torch.cuda.current_stream(self._device).synchronize()
                results = {name: np.asarray(tensor) for name, tensor in received.items()}
        except Exception as error:  # RuntimeError, its subclasses, and the guards of torch.export
            text = f'{self._path.name}: {_summary(error)}'
            if isinstance(error, MemoryError) or any(known in str(error) for known in _OUT_OF_MEMORY_TEXTS):
                raise OutOfMemory(text) from error
            if any(known in str(error) for known in _DEVICE_LOST_TEXTS):
                raise DeviceLost(text) from error
            raise InferenceError(text) from error
        if self._cancelled:
            raise InferenceError(f'{self._path.name}: the run was cancelled')
        return results

    def cancel(self) -> None:
        """Make the current run raise when it ends; torch cannot interrupt it."""
        self._cancelled = True

    def close(self) -> None:
        """Release the network and the GPU memory that torch keeps for it."""
        self._run = None
        if self._on_cuda:
            with self._use():
                self._torch.cuda.empty_cache()

    @contextmanager
    def _use(self) -> Iterator[None]:
        """Make the device the current one, and keep ONNX Runtime from capturing a CUDA graph meanwhile."""
        if not self._on_cuda:
            yield
            return
        with GATE.use(), self._torch.cuda.device(self._device):
            yield

    def _on_device(self, array: AnyArray) -> Any:
        tensor = self._torch.from_numpy(array)
        return tensor.pin_memory().to(self._device, non_blocking=True) if self._on_cuda else tensor

    def _on_host(self, tensor: Any) -> Any:
        """Return a tensor in memory of its own; the values arrive when the stream is synchronised.

        numpy has no bfloat16.
        """
        tensor = tensor.float() if str(tensor.dtype) == 'torch.bfloat16' else tensor
        if not self._on_cuda:
            return tensor
        host = self._torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return host.copy_(tensor, non_blocking=True)


_Opened = tuple[Callable[..., Any], tuple[TensorInfo, ...], tuple[TensorInfo, ...]]


def _open_script(path: Path, device: str) -> _Opened:
    """Open TorchScript; it states the names of the inputs, but neither types nor shapes.

    Raises:
        ValueError: the network does not return tensors, and other types for damaged files.
    """
    torch = _torch()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # TorchScript is deprecated, but many networks are published only in it
        module = torch.jit.load(str(path), map_location=device).eval()
        schema = module.forward.schema
    names = [argument.name for argument in schema.arguments[1:] if not argument.has_default_value()]
    returned = schema.returns[0].type
    kinds = list(returned.elements()) if returned.kind() == 'TupleType' else [returned]
    if any(kind.kind() != 'TensorType' for kind in kinds):
        raise ValueError(f'it returns {returned}; expected a tensor or a tuple of tensors')
    return module, _undescribed(names), _undescribed(_output_names(len(kinds)))


def _open_program(path: Path, device: str) -> _Opened:
    """Open a program of torch.export; it states names, types and shapes.

    Raises:
        Exception: torch raises many types for damaged files.
    """
    torch = _torch()
    program = torch.export.load(str(path))
    if device != 'cpu':
        program = torch.export.passes.move_to_device_pass(program, device)
    values = {node.name: node.meta.get('val') for node in program.graph.nodes}
    signature = program.graph_signature
    returned = [values[name] for name in signature.user_outputs]
    structure = torch.utils._pytree.tree_unflatten(returned, program.call_spec.out_spec)
    inputs = tuple(_described(name, values[name]) for name in signature.user_inputs)
    outputs = tuple(_described(name, value) for name, value in _by_name(structure).items())
    return program.module(), inputs, outputs


def _torch() -> Any:
    try:
        import torch
        import torch.export.passes
    except ImportError as error:
        raise DeviceUnavailable(f'torch is not installed ({error}): {install_command("torch")}') from error
    return torch


def _choose_device(options: RuntimeOptions, name: str) -> str:
    """Return cpu, or cuda: and a number.

    Raises:
        DeviceUnavailable: this torch cannot use the device, or there is no device with this number.
    """
    cuda = TorchRuntime.has('cuda')
    if cuda and options.device in ('auto', 'cuda'):
        try:
            check_device_id(options.device_id, _torch().cuda.device_count())
        except DeviceUnavailable:
            if not options.allow_fallback:
                raise
            return 'cpu'
        return f'cuda:{options.device_id}'
    if options.device in ('auto', 'cpu'):
        return 'cpu'
    if options.allow_fallback:
        return 'cpu'
    raise DeviceUnavailable(
        f"device '{options.device}' was requested, but torch {_torch().__version__} can run {name} on "
        f'{"cpu and cuda" if cuda else "cpu"} only. Set device: auto, install a torch with CUDA '
        'for device: cuda, or set allow_fallback: true'
    )


def _output_names(count: int) -> list[str]:
    return ['output'] if count == 1 else [f'output_{i}' for i in range(count)]


def _by_name(returned: Any) -> dict[str, Any]:
    """Return the tensors that a network returns, by name."""
    if isinstance(returned, dict):
        return returned
    values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    return dict(zip(_output_names(len(values)), values, strict=True))


def _undescribed(names: Collection[str]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(name, '', ()) for name in names)


def _described(name: str, value: Any) -> TensorInfo:
    return TensorInfo(
        name,
        str(value.dtype).removeprefix('torch.'),
        tuple(side if isinstance(side, int) else None for side in value.shape),
    )


def _summary(error: Exception) -> str:
    """Return the last line of an error that is not empty; errors of TorchScript begin with a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip('.')
