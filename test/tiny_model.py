"""Small real ONNX files with their manifests, written by the tests."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MANIFEST = """schema: 1
id: tiny
family: tiny
task: mono
license: {code: Apache-2.0, weights: Apache-2.0, commercial: true}
artifact: {source: written by the test, file: tiny.onnx, dynamic: true}
inputs: [{name: image, role: image}]
preprocess:
  resize: {mode: stretch, width: 64, height: 48}
  normalize: {scale: 1.0, mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0]}
outputs: [{name: depth, role: raw, layout: N1HW}]
decode: {kind: metric_depth}
"""
RELATIVE = MANIFEST.replace(
    'decode: {kind: metric_depth}', 'decode: {kind: affine_inverse_depth}\nneeds: [scale_shift]'
)
RELATIVE_DEPTH = MANIFEST.replace('decode: {kind: metric_depth}', 'decode: {kind: affine_depth}\nneeds: [scale_shift]')
CANONICAL = MANIFEST.replace(
    'decode: {kind: metric_depth}', 'decode: {kind: canonical_depth, canonical_focal: 60.0}\nneeds: [fx]'
)
STEREO = (
    MANIFEST.replace('task: mono', 'task: stereo')
    .replace('[{name: image, role: image}]', '[{name: image, role: left}, {name: other, role: right}]')
    .replace('decode: {kind: metric_depth}', 'decode: {kind: disparity}\nneeds: [fx, baseline]')
)

PROMPTED = MANIFEST.replace(
    '{name: image, role: image}',
    '{name: image, role: image}, {name: prompt, role: prompt_depth, size: [16, 12]}',
).replace('stretch, width: 64, height: 48', 'stretch, width: 16, height: 12')


def save(path, nodes, opset=17, constants=(), out=(1, 1, 'h', 'w'), inputs=('image',)):
    """Write a graph of nodes from (1, 3, h, w) inputs to ``depth``."""
    graph = helper.make_graph(
        nodes,
        'tiny',
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 'h', 'w']) for name in inputs],
        [helper.make_tensor_value_info('depth', TensorProto.FLOAT, list(out))],
        [numpy_helper.from_array(value, name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)
    onnx.save(model, path)
    return path


def mean_of_channels(path, plus=1.0, inputs=('image',)):
    """Write a graph whose depth is the mean of the first input's channels, plus a number."""
    weight = np.full((1, 3, 1, 1), 1 / 3, np.float32)
    nodes = [
        helper.make_node('Conv', [inputs[0], 'weight'], ['mean']),
        helper.make_node('Add', ['mean', 'plus'], ['depth']),
    ]
    constants = [('weight', weight), ('plus', np.array([plus], np.float32))]
    if len(inputs) > 1:  # an unused input would be removed by ONNX Runtime
        nodes[1] = helper.make_node('Add', ['mean', 'plus'], ['sum'])
        zero = np.zeros((1, 3, 1, 1), np.float32)
        nodes += [
            helper.make_node('Conv', [inputs[1], 'zero'], ['nothing']),
            helper.make_node('Add', ['sum', 'nothing'], ['depth']),
        ]
        constants.append(('zero', zero))
    return save(path, nodes, constants=constants, inputs=inputs)


def with_free_batch(manifest):
    """Make the first axis of every tensor of a model's file dynamic; return the manifest's path."""
    path = manifest.with_suffix('.onnx')
    graph = onnx.load(path)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'n'
    onnx.save(graph, path)
    return manifest


def with_fixed_shapes(path, height=48, width=64):
    """Declare the size of every axis of a model file; return its path."""
    graph = onnx.load(path)
    for value in (*graph.graph.input, *graph.graph.output):
        for axis, size in zip(value.type.tensor_type.shape.dim[2:], (height, width), strict=True):
            axis.dim_value = size
    onnx.save(graph, path)
    return path


def model(folder, manifest=MANIFEST, name='tiny', **options):
    """Write the manifest and the file of a model; return the manifest's path."""
    folder.mkdir(exist_ok=True)
    (folder / f'{name}.yaml').write_text(manifest.replace('tiny', name))
    inputs = ('image', 'other') if 'task: stereo' in manifest else ('image',)
    mean_of_channels(folder / f'{name}.onnx', inputs=inputs, **options)
    return folder / f'{name}.yaml'


def prompted_model(folder, manifest=PROMPTED, channels=1):
    """Write a model whose depth is its prompt; return the manifest's path."""
    folder.mkdir(exist_ok=True)
    (folder / 'tiny.yaml').write_text(manifest)
    nodes = [
        helper.make_node('ReduceMean', ['image'], ['mean'], axes=[1]),
        helper.make_node('Sub', ['mean', 'mean'], ['zero']),
        helper.make_node('ReduceMean', ['prompt'], ['plane'], axes=[1]),
        helper.make_node('Add', ['plane', 'zero'], ['depth']),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, 12, 16])
        for name, count in (('image', 3), ('prompt', channels))
    ]
    output = helper.make_tensor_value_info('depth', TensorProto.FLOAT, [1, 1, 12, 16])
    graph = helper.make_graph(nodes, 'tiny', inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), folder / 'tiny.onnx')
    return str(folder / 'tiny.yaml')
