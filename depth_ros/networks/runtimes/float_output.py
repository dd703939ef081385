"""The last convolution of a quantised .tflite graph in float32, so that the output has no steps.

An 8-bit output has 256 values; for depths up to 18 m, that is one every 7 cm. The weights keep their values, and the
other operators stay in 8 bit, so that the run time hardly changes. ``real = (stored - zero point) * scale``
(quantization specification of TensorFlow Lite).
"""

from typing import Any

import numpy as np

from depth_ros.types import AnyArray


def with_float_output(content: bytes) -> bytes:
    """Return the file with every output in float32 that a quantised convolution computes; otherwise unchanged.

    Args:
        content: A .tflite file.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    changed = [_make_float(number, model, schema) for number in range(len(model.subgraphs[0].outputs))]
    if not any(changed):
        return content
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b'TFL3')
    return bytes(builder.Output())


def _make_float(number: int, model: Any, schema: Any) -> bool:
    """Compute one output in float32; return whether a quantised convolution computes it."""
    graph = model.subgraphs[0]
    old = graph.outputs[number]
    computed_by = {index: operator for operator in graph.operators for index in operator.outputs}
    last = convolution = computed_by.get(old)
    if last is not None and _kind(last, model) == schema.BuiltinOperator.QUANTIZE:
        convolution = computed_by.get(last.inputs[0])
    if convolution is None or _kind(convolution, model) != schema.BuiltinOperator.CONV_2D:
        return False
    result = convolution.outputs[0]
    users = [operator for operator in graph.operators if result in operator.inputs and operator is not last]
    if not _is_quantised(graph.tensors[convolution.inputs[0]], schema) or users:
        return False
    dequantise = schema.OperatorT()
    dequantise.opcodeIndex = _code(model, schema.BuiltinOperator.DEQUANTIZE, schema)
    dequantise.inputs = [convolution.inputs[0]]
    dequantise.outputs = [_added(graph.tensors[convolution.inputs[0]], model, schema)]
    constants = [_added(graph.tensors[index], model, schema) for index in convolution.inputs[1:]]
    convolution.inputs = [dequantise.outputs[0], *constants]
    graph.tensors[result].type, graph.tensors[result].quantization = schema.TensorType.FLOAT32, None
    graph.tensors[result].name = graph.tensors[old].name
    graph.operators = [o for o in graph.operators if o is convolution or o is not last]
    graph.operators.insert(next(i for i, o in enumerate(graph.operators) if o is convolution), dequantise)
    graph.outputs = [result if i == number else index for i, index in enumerate(graph.outputs)]
    for named in (each for signature in model.signatureDefs or () for each in signature.outputs):
        named.tensorIndex = result if named.tensorIndex == old else named.tensorIndex
    return True


def _kind(operator: Any, model: Any) -> int:
    return int(model.operatorCodes[operator.opcodeIndex].builtinCode)


def _is_quantised(tensor: Any, schema: Any) -> bool:
    quantization = tensor.quantization
    return tensor.type == schema.TensorType.INT8 and quantization is not None and quantization.scale is not None


def _code(model: Any, kind: int, schema: Any) -> int:
    """Return the index of an operator code, which is added."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 2  # int8
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _added(tensor: Any, model: Any, schema: Any) -> int:
    """Return the index of a new float32 tensor, with the real values of the quantised one if that is a constant."""
    added = schema.TensorT()
    added.name = bytes(tensor.name) + b'_float'
    added.shape, added.shapeSignature = tensor.shape, tensor.shapeSignature
    added.type, added.buffer = schema.TensorType.FLOAT32, 0
    data = model.buffers[tensor.buffer].data
    if data is not None and len(data):
        stored = np.frombuffer(bytes(data), np.int32 if tensor.type == schema.TensorType.INT32 else np.int8)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(_real(stored.reshape(tensor.shape), tensor.quantization).tobytes(), np.uint8)
        added.buffer = len(model.buffers)
        model.buffers.append(buffer)
    model.subgraphs[0].tensors.append(added)
    return len(model.subgraphs[0].tensors) - 1


def _real(stored: AnyArray, quantization: Any) -> AnyArray:
    """Return the values of a constant; scale and zero point may differ per channel."""
    shape = [1] * stored.ndim
    if len(quantization.scale) > 1:
        shape[quantization.quantizedDimension] = -1
    scale = np.asarray(quantization.scale, np.float64).reshape(shape)
    zero = np.asarray(quantization.zeroPoint, np.float64).reshape(shape) if quantization.zeroPoint is not None else 0.0
    return ((stored.astype(np.float64) - zero) * scale).astype(np.float32)
