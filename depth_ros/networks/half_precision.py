"""Self-check of files in half precision that have no reference: the CPU computes the same file.

ONNX Runtime's CPU provider computes most operators of such a file in full precision. Overflows and rounding of another
device appear as a difference to it.
"""

import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from depth_ros.errors import InferenceError, ModelLoadError
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.input_placement import Size
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import Precision, Runtime, RuntimeOptions
from depth_ros.networks.self_check import read_reference, self_check_input
from depth_ros.networks.tensor_check import check_tensors, fixed_size
from depth_ros.types import AnyArray

_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
"""Numbers of the fields ModelProto.graph, GraphProto.node and GraphProto.initializer in onnx.proto."""
_INPUT, _OPERATOR = 1, 4
"""Fields of NodeProto: names of the inputs, and the operator."""
_DATA_TYPE, _NAME = 2, 8
"""Fields of TensorProto."""
_FLOAT16 = 10
_CPU = 'CPUExecutionProvider'
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""


def reference_of_half_precision(
    manifest: Manifest, path: Path, runtime: Runtime, input_size: Size | None, listener: ProgressListener
) -> tuple[AnyArray | None, Precision]:
    """Return the output of the CPU for the self-check image if a file is in half precision, and the file's precision.

    Args:
        manifest: Description of the file.
        path: ONNX file.
        runtime: Runtime that has loaded the file.
        input_size: Input size of the network, if the graph accepts any size; None = that of the self-check image.
        listener: Receives a report before the computation, which can take minutes, and if it is impossible.

    Returns:
        The output is None for full precision, if the file runs on the CPU, or if the CPU cannot compute it.

    Raises:
        ModelMismatch: the file does not match its manifest.
    """
    half = manifest.artifact.precision == 'fp16' or computes_in_half_precision(path)
    if not half or runtime.device.startswith(_CPU):
        return None, 'fp16' if half else 'fp32'
    return _cpu_reference(manifest, path, input_size, listener), 'fp16'


def computes_in_half_precision(path: Path) -> bool:
    """Return whether an operator of an ONNX file has weights of the type float16; False if it cannot be read as one.

    Weights that are only stored in half precision, and converted by Cast before they are used, do not count.
    """
    if path.stat().st_size == 0:
        return False
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            graphs = list(_messages(content, (0, len(content)), _GRAPH))
            halves = {
                name
                for graph in graphs
                for tensor in _messages(content, graph, _INITIALIZER)
                if (_DATA_TYPE, _FLOAT16) in _fields(content, tensor)
                for name in _texts(content, tensor, _NAME)
            }
            return any(
                not halves.isdisjoint(_texts(content, node, _INPUT)) and b'Cast' not in _texts(content, node, _OPERATOR)
                for graph in graphs
                for node in _messages(content, graph, _NODE)
            )
        except (IndexError, ValueError):
            return False


def _cpu_reference(
    manifest: Manifest, path: Path, input_size: Size | None, listener: ProgressListener
) -> AnyArray | None:
    """Return the main output for the self-check image, computed on the CPU; it is stored for later starts."""
    key = hashlib.sha256(f'{sha256(path)} {manifest.preprocess} {input_size}'.encode()).hexdigest()[:24]
    stored = cache_folder() / 'references' / f'{manifest.id}-{key}.npz'
    if stored.is_file():
        return read_reference(stored)
    listener.report(f'computing {path.name} on the CPU, for the self-check in half precision')
    try:
        with closing(OnnxRuntime(path, RuntimeOptions('cpu'))) as runtime:
            checked = check_tensors(manifest, runtime)
            _, inputs = self_check_input(checked, fixed_size(checked, runtime) or input_size)
            outputs = runtime.infer(inputs)
    except (ModelLoadError, InferenceError) as error:
        listener.report(f'no self-check in half precision: the CPU cannot compute {path.name}: {error}')
        return None
    main = checked.main_output.name
    reference = next(iter(outputs.values())) if main == '*' else outputs[main]
    _store(reference, stored)
    return reference


def _store(reference: AnyArray, path: Path) -> None:
    """Write a reference; without write permission, it is computed again at the next start."""
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open('wb') as file:
            np.savez(file, expected=reference)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def _messages(content: mmap.mmap, part: tuple[int, int], number: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the messages with a field number within a part of the file."""
    for found, value in _fields(content, part):
        if found == number and isinstance(value, tuple):
            yield value


def _texts(content: mmap.mmap, part: tuple[int, int], number: int) -> list[bytes]:
    """Return the values of the text fields with a number within a part of the file."""
    return [content[begin:end] for begin, end in _messages(content, part, number)]


def _fields(content: mmap.mmap, part: tuple[int, int]) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Yield number and value of the fields of a protobuf message; the value of bytes is their begin and end."""
    position, end = part
    while position < end:
        tag, position = _varint(content, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = _varint(content, position)
            yield tag >> 3, value
        elif kind == _BYTES:
            length, position = _varint(content, position)
            yield tag >> 3, (position, position + length)
            position += length
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f'wire type {kind} is not part of protobuf 3')


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    """Return a number and the position behind it."""
    number = shift = 0
    while True:
        byte = content[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position
