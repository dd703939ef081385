"""The protocol between a network and the runtime that computes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from depth_ros.types import AnyArray

Precision = Literal['fp32', 'fp16']
"""Precision of weights and arithmetic."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a graph, as the file declares it."""

    name: str
    dtype: str
    """Name of the numpy data type, such as float32."""
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
        """Make a running ``infer`` raise soon."""
        ...

    def close(self) -> None:
        """Release memory and device. The owner calls it exactly once, when no ``infer`` is running."""
        ...
