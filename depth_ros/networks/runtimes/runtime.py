"""The seam between a network's arithmetic and whatever computes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from depth_ros.types import AnyArray

Precision = Literal['fp32', 'fp16']
"""Precision of weights and arithmetic."""


@dataclass(frozen=True)
class TensorInfo:
    """A graph's input or output as the file declares it."""

    name: str
    dtype: str
    """numpy's name."""
    shape: tuple[int | None, ...]
    """None = any size."""


class Runtime(Protocol):
    """Runs one graph. ``infer`` is called by one thread at a time, ``cancel`` by any."""

    device: str
    """Where it runs, for logs and diagnostics."""
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

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
