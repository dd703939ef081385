"""The protocol between a network and the runtime that computes it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from depth_ros.errors import InferenceError
from depth_ros.types import AnyArray

Precision = Literal['fp32', 'fp16']
"""Precision of weights and arithmetic."""
Device = Literal['auto', 'tensorrt', 'cuda', 'openvino', 'cpu']


@dataclass(frozen=True)
class RuntimeOptions:
    """Options of a runtime."""

    device: Device = 'auto'
    allow_fallback: bool = False
    """Whether the CPU is used if the requested device is unavailable; otherwise that is an error."""
    threads: int = 0
    """CPU threads used for inference; 0 = number of cores - 1."""
    memory_limit_mb: int = 0
    """Limit of the GPU memory that the runtime allocates, MiB; 0 = no limit."""
    optimization: Literal['all', 'extended', 'basic', 'none'] = 'all'
    """Level of ONNX Runtime's graph optimization."""
    precision: Precision = 'fp32'
    """Precision of TensorRT's arithmetic; everything else uses the precision of the file."""
    batch_shapes: tuple[str, str] | None = None
    """Smallest and largest input shapes that TensorRT's engine is built for (``batch_shapes``); None = the shapes of
    the first inputs. An engine is built again when inputs of other shapes arrive."""
    device_id: int = 0
    """Number of the GPU."""
    cuda_graph: bool = True
    """Whether runs of a file with fixed shapes are captured as a CUDA graph, where the provider can."""

    @property
    def cpu_threads(self) -> int:
        """Number of CPU threads."""
        return self.threads or max(1, (os.cpu_count() or 2) - 1)


DEFAULT_OPTIONS = RuntimeOptions()


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a graph, as the file declares it."""

    name: str
    dtype: str
    """Name of the numpy data type of the array that ``infer`` takes or returns, such as float32; empty = the file
    states neither type nor shape (TorchScript)."""
    shape: tuple[int | None, ...]
    """Size of each axis; None = any size."""


class Runtime(Protocol):
    """One loaded graph. ``infer`` is called by one thread at a time, ``cancel`` by any thread."""

    device: str
    """Device that runs the graph, for logs and diagnostics."""
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    engines: Path | None
    """Folder with the engine compiled for this graph; None = no engine is stored."""

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Compute the outputs, by name, from the inputs, by name.

        Raises:
            OutOfMemory, DeviceLost, InferenceError: this run failed.
        """
        ...

    def cancel(self) -> None:
        """Make a running ``infer`` raise ``InferenceError``: soon, or when it ends if the library has no interrupt."""
        ...

    def close(self) -> None:
        """Release memory and device. The owner calls it exactly once, when no ``infer`` is running."""
        ...


def check_inputs(file: str, declared: Sequence[TensorInfo], tensors: Mapping[str, AnyArray]) -> None:
    """Compare the inputs of a run with those that the file declares, for libraries that do not.

    Raises:
        InferenceError: a name, a type or a size differs.
    """
    names = [each.name for each in declared]
    if set(tensors) != set(names):
        raise InferenceError(
            f'{file}: the inputs are {", ".join(sorted(tensors)) or "none"}; expected {", ".join(names)}. Correct the '
            'inputs in the manifest'
        )
    for each in declared:
        found = tensors[each.name]
        fits = len(found.shape) == len(each.shape) and all(
            size in (None, side) for side, size in zip(found.shape, each.shape, strict=True)
        )
        if each.dtype and not (fits and found.dtype == each.dtype):
            raise InferenceError(
                f'{file}: input {each.name} is {found.dtype} {found.shape}; expected {each.dtype} {each.shape}, None = '
                'any size. Correct the preprocessing in the manifest'
            )
