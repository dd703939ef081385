"""Facts about an ONNX file, read from its bytes without a library: precision, fixed shapes.

The numbers are those of the fields in onnx.proto; the encoding is that of protocol buffers (protobuf.dev/encoding).
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GRAPH, _NODE, _INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 7, 1, 5, 11, 12
"""ModelProto.graph; GraphProto.node, initializer, input and output. The last two are ValueInfoProto."""
_INPUT, _OPERATOR = 1, 4
"""Fields of NodeProto: names of the inputs, and the operator."""
_DATA_TYPE, _NAME = 2, 8
"""Fields of TensorProto."""
_TYPE, _TENSOR_TYPE, _SHAPE, _DIM, _DIM_VALUE = 2, 1, 2, 1, 1
"""ValueInfoProto.type, TypeProto.tensor_type, Tensor.shape, TensorShapeProto.dim and Dimension.dim_value."""
_NEGATIVE = 1 << 63
"""Negative numbers are encoded as unsigned numbers from here on."""
_FLOAT16 = 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""
_Span = tuple[int, int]
"""Begin and end of a part of the file."""


def computes_in_half_precision(path: Path) -> bool:
    """Return whether an operator of an ONNX file has weights of the type float16; False if it cannot be read as one.

    Weights that are only stored in half precision, and converted by Cast before they are used, do not count.
    """
    with _content(path) as content:
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


def has_fixed_shapes(path: Path) -> bool:
    """Return whether an ONNX file declares the size of every axis of its inputs and outputs; False if unreadable."""
    with _content(path) as content:
        try:
            graphs = list(_messages(content, (0, len(content)), _GRAPH))
            values = [
                value
                for graph in graphs
                for number in (_GRAPH_INPUT, _GRAPH_OUTPUT)
                for value in _messages(content, graph, number)
            ]
            return bool(values) and all(_has_fixed_shape(content, value) for value in values)
        except (IndexError, ValueError):
            return False


def _has_fixed_shape(content: bytes | mmap.mmap, value: _Span) -> bool:
    shapes = [
        shape
        for kind in _messages(content, value, _TYPE)
        for tensor in _messages(content, kind, _TENSOR_TYPE)
        for shape in _messages(content, tensor, _SHAPE)
    ]
    return bool(shapes) and all(
        any(
            number == _DIM_VALUE and isinstance(value, int) and 0 < value < _NEGATIVE
            for number, value in _fields(content, axis)
        )
        for shape in shapes
        for axis in _messages(content, shape, _DIM)
    )


@contextmanager
def _content(path: Path) -> Iterator[bytes | mmap.mmap]:
    if path.stat().st_size == 0:
        yield b''  # which cannot be mapped
        return
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _messages(content: bytes | mmap.mmap, part: _Span, number: int) -> Iterator[_Span]:
    """Yield begin and end of the messages with a field number within a part of the file."""
    for found, value in _fields(content, part):
        if found == number and isinstance(value, tuple):
            yield value


def _texts(content: bytes | mmap.mmap, part: _Span, number: int) -> list[bytes]:
    """Return the values of the text fields with a number within a part of the file."""
    return [content[begin:end] for begin, end in _messages(content, part, number)]


def _fields(content: bytes | mmap.mmap, part: _Span) -> Iterator[tuple[int, int | _Span]]:
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


def _varint(content: bytes | mmap.mmap, position: int) -> tuple[int, int]:
    """Return a number and the position behind it."""
    number = shift = 0
    while True:
        byte = content[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position
