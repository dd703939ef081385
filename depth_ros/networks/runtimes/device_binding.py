"""Runs of an ONNX Runtime session with buffers on its device that are allocated once (I/O binding).

The documentation of ONNX Runtime describes I/O binding and, for the CUDA provider, CUDA graphs: a graph replays the
kernels of a run with the addresses of that run, so the buffers must stay where they are.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from depth_ros.networks.runtimes.capture_gate import GATE
from depth_ros.networks.runtimes.cuda_device import CudaDevice
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.types import AnyArray

_MAX_BINDINGS = 8
"""Sets of buffers of a session, of which each is for one combination of input shapes; the oldest is released."""
_GRAPH_ID, _GRAPH, _NO_GRAPH = 'gpu_graph_id', '1', '-1'
"""Run option and its values: the number of the graph to capture and replay; -1 = neither."""
_MAX_DIFFERENCE = 1e-2
"""Largest difference between a replay and an ordinary run, relative to the largest value of the output."""


class GraphUnusable(Exception):
    """The session cannot capture a CUDA graph, and must not be used any more; the text is the reason."""


class DeviceBinding:
    """Buffers of one session for inputs of one shape. Used by one thread at a time.

    Args:
        library: The module onnxruntime.
        session: The session.
        inputs: Arrays of the shapes and types that all runs will have, by name.
        outputs: Outputs to compute.
        device: Kind of the device in ONNX Runtime's notation: cuda or cpu.
        device_id: Number of the device.
        gpu: The GPU, for copies from and to page-locked memory; None = from and to ordinary memory.

    Raises:
        Exception: any error of ONNX Runtime, such as lack of memory.
    """

    def __init__(
        self,
        library: Any,
        session: Any,
        inputs: Mapping[str, AnyArray],
        outputs: Sequence[TensorInfo],
        device: str,
        device_id: int = 0,
        gpu: CudaDevice | None = None,
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._gpu = gpu
        self._output_infos = tuple(outputs)
        self._inputs: dict[str, Any] = {}
        self._sent: dict[str, AnyArray] = {}
        self._received: dict[str, AnyArray] = {}
        for name, array in inputs.items():
            value = library.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype.type, device, device_id)
            self._binding.bind_ortvalue_input(name, value)
            self._inputs[name] = value
            if gpu is not None:
                self._sent[name] = gpu.page_locked_array(array.shape, array.dtype)
        for info in outputs:
            self._binding.bind_output(info.name, device, device_id)
        self._outputs: dict[str, Any] = {}
        """Buffers of the outputs, which the first run allocates, because a file need not state their size."""

    def upload(self, tensors: Mapping[str, AnyArray]) -> None:
        """Copy the inputs to the device."""
        for name, value in self._inputs.items():
            array = tensors[name]
            if name in self._sent:
                np.copyto(self._sent[name], array)
                array = self._sent[name]
            value.update_inplace(array)

    def compute(self, options: Any) -> None:
        """Run the session with the inputs that are on the device; return when the outputs are there.

        Args:
            options: ``onnxruntime.RunOptions``.
        """
        self._session.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()
        if not self._outputs:
            for info, value in zip(self._output_infos, self._binding.get_outputs(), strict=True):
                self._binding.bind_ortvalue_output(info.name, value)
                self._outputs[info.name] = value
                if self._gpu is not None:
                    self._received[info.name] = self._gpu.page_locked_array(tuple(value.shape()), np.dtype(info.dtype))

    def download(self) -> dict[str, AnyArray]:
        """Return the outputs as new arrays, by name."""
        return {name: self._downloaded(name, value) for name, value in self._outputs.items()}

    def run(self, tensors: Mapping[str, AnyArray], options: Any) -> dict[str, AnyArray]:
        """Return the outputs for inputs, by name, as new arrays."""
        self.upload(tensors)
        self.compute(options)
        return self.download()

    def _downloaded(self, name: str, value: Any) -> AnyArray:
        if self._gpu is not None:
            self._gpu.copy_from_device(self._received[name], value.data_ptr())
            return self._received[name].copy()
        array: AnyArray = value.numpy()
        return array.copy() if array.ctypes.data == value.data_ptr() else array  # the memory of the CPU is not copied


class BoundSession:
    """Runs a session with buffers on its device, for inputs of any shape.

    Args:
        library: The module onnxruntime.
        session: The session.
        outputs: Outputs to compute.
        device: Kind of the device in ONNX Runtime's notation: cuda or cpu.
        device_id: Number of the device.
        gpu: The GPU, for copies from and to page-locked memory; None = from and to ordinary memory.
        graph: Whether the session can capture CUDA graphs; its file must have fixed shapes.
    """

    def __init__(
        self,
        library: Any,
        session: Any,
        outputs: Sequence[TensorInfo],
        device: str,
        device_id: int = 0,
        gpu: CudaDevice | None = None,
        graph: bool = False,
    ) -> None:
        self._library = library
        self._bind = partial(
            DeviceBinding, library, session, outputs=outputs, device=device, device_id=device_id, gpu=gpu
        )
        self._bindings: OrderedDict[object, DeviceBinding] = OrderedDict()
        self._graph = graph
        self._captured = threading.local()
        """Has the attribute ``done`` in threads that have captured; the CUDA provider keeps one graph per thread."""

    def run(self, tensors: Mapping[str, AnyArray], options: Any) -> dict[str, AnyArray]:
        """Return the outputs for inputs, by name, as new arrays.

        Args:
            tensors: Inputs.
            options: ``onnxruntime.RunOptions`` of this run; ``terminate`` ends it.

        Raises:
            GraphUnusable: the session cannot capture a CUDA graph.
            Exception: any error of ONNX Runtime.
        """
        if not self._graph:
            with GATE.use():
                return self._binding(tensors).run(tensors, options)
        replay = hasattr(self._captured, 'done')
        options.add_run_config_entry(_GRAPH_ID, _GRAPH if replay else _NO_GRAPH)
        with GATE.use():
            outputs = self._binding(tensors).run(tensors, options)
        if not replay:
            with GATE.capture() as free:
                if free:
                    self._capture(self._binding(tensors), tensors, outputs)
        return outputs

    def _binding(self, tensors: Mapping[str, AnyArray]) -> DeviceBinding:
        """Return the buffers for the shapes and types of these inputs."""
        key = tuple((name, array.shape, array.dtype) for name, array in sorted(tensors.items()))
        if key not in self._bindings:
            if len(self._bindings) == _MAX_BINDINGS:
                self._bindings.popitem(last=False)
            self._bindings[key] = self._bind(inputs=tensors)
        self._bindings.move_to_end(key)
        return self._bindings[key]

    def _capture(
        self, binding: DeviceBinding, tensors: Mapping[str, AnyArray], expected: Mapping[str, AnyArray]
    ) -> None:
        """Capture a graph, and compare its outputs for these inputs with those of an ordinary run.

        It is captured with other inputs, so that a graph that does not read its inputs again is noticed.
        """
        options = self._library.RunOptions()
        options.add_run_config_entry(_GRAPH_ID, _GRAPH)
        try:
            binding.run({name: np.zeros_like(array) for name, array in tensors.items()}, options)
            found = binding.run(tensors, options)
            problem = next((f'{name} differs' for name in found if not _equal(expected[name], found[name])), '')
        except Exception as error:  # of ONNX Runtime, which has several types
            problem = str(error)
        if problem:
            raise GraphUnusable(problem)
        self._captured.done = True


def _equal(expected: AnyArray, found: AnyArray) -> bool:
    """Return whether two outputs are equal up to rounding; their NaN must agree."""
    limit = _MAX_DIFFERENCE * float(np.nanmax(np.abs(expected), initial=0.0))
    return bool(np.allclose(found, expected, rtol=0.0, atol=limit, equal_nan=True))
