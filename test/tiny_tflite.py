"""Small real .tflite files, written by the tests with the schema that LiteRT contains."""

import flatbuffers
import numpy as np
import tiny_model
from ai_edge_litert import schema_py_generated as schema

MANIFEST = (
    tiny_model.MANIFEST.replace('tiny.onnx', 'tiny.tflite')
    .replace('role: image', 'role: image, layout: NHWC')
    .replace('N1HW', 'NHW1')
    .replace('dynamic: true}', 'dynamic: true}\nruntime: {backends: [litert]}')
)
Op = schema.BuiltinOperator
_TYPES = {np.float32: schema.TensorType.FLOAT32, np.int8: schema.TensorType.INT8, np.uint8: schema.TensorType.UINT8,
          np.int32: schema.TensorType.INT32}  # fmt: skip


class Writer:
    """A graph under construction: tensors and operators, in order."""

    def __init__(self):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name, shape, dtype=np.float32, quantization=None, values=None):
        """Add a tensor, which is constant if it has values; -1 in the shape = any size. Return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = name, _TYPES[dtype]
        tensor.shape, tensor.shapeSignature = [abs(side) for side in shape], list(shape)
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization[0]], [quantization[1]]
        if values is not None:
            tensor.buffer = len(self.model.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(values, dtype).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind, inputs, output, options=None, custom=None):
        """Add an operator; ``options``: the type of its options and their values."""
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 2
        code.customCode = custom
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes) - 1, inputs, [output]
        if options is not None:
            name, values = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, f'{name}T')()
            for key, value in values.items():
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)

    def save(self, path, inputs, outputs, signature=True):
        """Write the file; a signature names inputs and outputs by the names of their tensors without ``:0``."""
        self.graph.inputs, self.graph.outputs, self.model.subgraphs = inputs, outputs, [self.graph]
        if signature:
            definition = schema.SignatureDefT()
            definition.signatureKey, definition.subgraphIndex = 'serving_default', 0
            definition.inputs, definition.outputs = self._named(inputs), self._named(outputs)
            self.model.signatureDefs = [definition]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b'TFL3')
        path.write_bytes(bytes(builder.Output()))
        return path

    def _named(self, indices):
        maps = []
        for index in indices:
            each = schema.TensorMapT()
            each.name, each.tensorIndex = self.graph.tensors[index].name.partition(':')[0], index
            maps.append(each)
        return maps


def mean_of_channels(path, plus=1.0, size=(-1, -1), signature=True):
    """Write a float graph (1, h, w, 3) → (1, h, w, 1): the mean of the channels, plus a number."""
    w = Writer()
    image = w.tensor('image:0', (1, *size, 3))
    axis = w.tensor('axis', (1,), np.int32, values=[3])
    added = w.tensor('plus', (1,), values=[plus])
    mean, depth = w.tensor('mean', (1, *size, 1)), w.tensor('depth:0', (1, *size, 1))
    w.operator(Op.MEAN, [image, axis], mean, ('ReducerOptions', {'keepDims': True}))
    w.operator(Op.ADD, [mean, added], depth, ('AddOptions', {}))
    return w.save(path, [image], [depth], signature)


def quantised_mean(path, dtype=np.uint8, size=(8, 8)):
    """Write a quantised graph: a 1x1 convolution gives the mean of the channels of pixels in 0 … 1, in 0 … 4."""
    zero = 0 if dtype == np.uint8 else -128
    w = Writer()
    image = w.tensor('image:0', (1, *size, 3), dtype, (1 / 255, zero))
    inner = w.tensor('inner', (1, *size, 3), np.int8, (1 / 255, -128))
    weight = w.tensor('weight', (1, 1, 1, 3), np.int8, (4 / 3 / 127, 0), values=[[[[127, 127, 127]]]])
    bias = w.tensor('bias', (1,), np.int32, (4 / 3 / 127 / 255, 0), values=[0])
    found = w.tensor('found', (1, *size, 1), np.int8, (4 / 255, -128))
    depth = w.tensor('depth:0', (1, *size, 1), dtype, (4 / 255, zero))
    w.operator(Op.QUANTIZE, [image], inner)
    w.operator(
        Op.CONV_2D, [inner, weight, bias], found,
        ('Conv2DOptions', {'padding': schema.Padding.VALID, 'strideH': 1, 'strideW': 1, 'dilationHFactor': 1, 'dilationWFactor': 1}),
    )  # fmt: skip
    w.operator(Op.QUANTIZE, [found], depth)
    return w.save(path, [image], [depth])


def convolutions(path, count, side=3):
    """Write a float graph of equal convolutions (1, h, w, 3) → (1, h, w, 3), for runs that take a while."""
    w = Writer()
    image = w.tensor('image:0', (1, -1, -1, 3))
    weight = w.tensor('weight', (3, side, side, 3), values=np.full((3, side, side, 3), 1e-3))
    bias = w.tensor('bias', (3,), values=np.zeros(3))
    before = image
    options = {
        'padding': schema.Padding.SAME,
        'strideH': 1,
        'strideW': 1,
        'dilationHFactor': 1,
        'dilationWFactor': 1,
    }
    for number in range(count):
        after = w.tensor('depth:0' if number == count - 1 else f't{number}', (1, -1, -1, 3))
        w.operator(Op.CONV_2D, [before, weight, bias], after, ('Conv2DOptions', options))
        before = after
    return w.save(path, [image], [before])


def unknown_operator(path):
    """Write a graph with an operator that no LiteRT knows."""
    w = Writer()
    image, depth = w.tensor('image:0', (1, 4, 4, 3)), w.tensor('depth:0', (1, 4, 4, 3))
    w.operator(Op.CUSTOM, [image], depth, custom='NoSuchOperator')
    return w.save(path, [image], [depth])
