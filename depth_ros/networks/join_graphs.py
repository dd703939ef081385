"""Join two graphs into one ONNX graph, with the step between them that the authors compute in their own GPU code.

A joined model is used like any other: one file, one session on any provider, one engine.
"""

import os
from pathlib import Path
from typing import Any

from depth_ros.errors import ModelLoadError, ModelMismatch
from depth_ros.networks.manifest import Bridge

_EPSILON = 1e-5
"""Added to the divisor so that the normalised correlation is finite, as in NVlabs/Fast-FoundationStereo."""


def write_joined(first: Path, second: Path, bridge: Bridge, out: Path) -> None:
    """Join two files into one. The file gets its name only when it is complete.

    Args:
        first: Graph whose inputs are the images.
        second: Graph whose inputs are outputs of the first with the same names, and the output of the bridge.
        bridge: The computation between the two graphs.
        out: Path of the joined file.

    Raises:
        ModelLoadError: the onnx package is missing, a file is damaged, or ``out`` cannot be written.
        ModelMismatch: the two graphs do not match.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelLoadError(
            f'joining {first.name} and {second.name} needs the onnx package ({error}): pip install onnx'
        ) from error
    part = out.with_name(f'{out.name}.{os.getpid()}.part')
    try:
        joined = _joined(onnx.load(first), onnx.load(second), bridge, f'{first.name} and {second.name}')
        out.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(joined, part)
        part.replace(out)
    except ModelMismatch:
        raise
    except Exception as error:  # protobuf raises its own types for damaged files
        part.unlink(missing_ok=True)
        raise ModelLoadError(f'{first} and {second} cannot be joined into {out}: {error}') from error


def _joined(first: Any, second: Any, bridge: Bridge, names: str) -> Any:
    from onnx import compose, helper

    opsets = [{each.domain: each.version for each in model.opset_import} for model in (first, second)]
    if opsets[0] != opsets[1]:
        raise ModelMismatch(
            f'{names} have the opsets {opsets[0]} and {opsets[1]}; expected equal opsets. Export them together'
        )
    outputs = {value.name: value for value in first.graph.output}
    inputs = {value.name: value for value in second.graph.input}
    missing = (inputs.keys() - {bridge.output} - outputs.keys()) | ({bridge.left, bridge.right} - outputs.keys())
    if missing or bridge.output not in inputs:
        raise ModelMismatch(
            f'{names} do not match: the inputs of the second are {", ".join(inputs)}, the outputs of the first are '
            f'{", ".join(outputs)}; expected {bridge.output}, computed from {bridge.left} and {bridge.right}, and '
            'otherwise equal names. Check the order of the files and the bridge in the manifest'
        )
    first_part, second_part = compose.add_prefix(first, 'first/'), compose.add_prefix(second, 'second/')
    constants = {value.name for value in first.graph.initializer}
    joined_inputs = [value for value in first.graph.input if value.name not in constants]
    # add_prefix of onnx 1.17 and earlier cannot leave out the names of inputs and outputs.
    input_nodes = [helper.make_node('Identity', [value.name], [f'first/{value.name}']) for value in joined_inputs]
    output_nodes = [
        helper.make_node('Identity', [f'second/{value.name}'], [value.name]) for value in second.graph.output
    ]
    bridge_nodes = [
        helper.make_node('Cast', [f'first/{name}'], [f'second/{name}'], to=_element_type(value))
        for name, value in inputs.items()
        if name in outputs
    ]
    bridge_nodes += _group_wise_correlation(f'first/{bridge.left}', f'first/{bridge.right}', inputs[bridge.output])
    graph = helper.make_graph(
        [*input_nodes, *first_part.graph.node, *bridge_nodes, *second_part.graph.node, *output_nodes], 'joined',
        joined_inputs, second.graph.output,
        [*first_part.graph.initializer, *second_part.graph.initializer],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)


def _element_type(value: Any) -> int:
    return int(value.type.tensor_type.elem_type)


def _group_wise_correlation(left: str, right: str, volume: Any) -> list[Any]:
    """Return the nodes of ``volume[g, d, y, x] = <left_g[y, x], right_g[y, x - d]> / (|left_g| |right_g| + ε)``.

    Left and right are (1, C, H, W) features whose channels are divided into groups; where x < d the volume is 0. The
    shape is the one that the second graph declares: (1, groups, disparities, H, W).
    """
    from onnx import TensorProto, helper

    sizes = [dim.dim_value for dim in volume.type.tensor_type.shape.dim]
    if len(sizes) != 5 or not all(sizes):
        raise ModelMismatch(
            f'{volume.name} has the shape {sizes}; expected fixed sizes: 1, groups, disparities, height, width. '
            'Export the second graph with fixed sizes'
        )
    _, groups, disparities, height, width = sizes
    nodes = []

    def add(operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [f'bridge/{name}'], **attributes))
        return f'bridge/{name}'

    def constant(name: str, values: list[int]) -> str:
        return add('Constant', [], name, value=helper.make_tensor(name, TensorProto.INT64, [len(values)], values))

    def part(source: str, first: int, name: str) -> str:
        """Take ``width - d`` columns from column ``first`` on."""
        ends = constant(f'{name}_end', [first + width - d])
        return add('Slice', [source, constant(f'{name}_begin', [first]), ends, last_axis], name)

    shape = constant('shape', [1, groups, -1, height, width])
    last_axis, channels = constant('last_axis', [4]), constant('channels', [2])
    epsilon = add('Constant', [], 'epsilon', value=helper.make_tensor('epsilon', TensorProto.FLOAT, [], [_EPSILON]))
    sides, norms = [], []
    for name, source in (('left', left), ('right', right)):
        exact = add('Cast', [source], f'{name}_exact', to=TensorProto.FLOAT)
        sides.append(add('Reshape', [exact, shape], name))
        squares = add(
            'ReduceSum', [add('Mul', [sides[-1]] * 2, f'{name}_squared'), channels], f'{name}_sum', keepdims=1
        )
        norms.append(add('Sqrt', [squares], f'{name}_norm'))
    slices = []
    for d in range(disparities):
        product = add('Mul', [part(sides[0], d, f'left_{d}'), part(sides[1], 0, f'right_{d}')], f'product_{d}')
        total = add('ReduceSum', [product, channels], f'sum_{d}', keepdims=1)
        lengths = add(
            'Mul', [part(norms[0], d, f'left_norm_{d}'), part(norms[1], 0, f'right_norm_{d}')], f'lengths_{d}'
        )
        cosine = add('Div', [total, add('Add', [lengths, epsilon], f'divisor_{d}')], f'cosine_{d}')
        slices.append(add('Pad', [cosine, constant(f'pads_{d}', [0, 0, 0, 0, d, 0, 0, 0, 0, 0])], f'padded_{d}'))
    whole = add('Concat', slices, 'volume', axis=2)
    nodes.append(helper.make_node('Cast', [whole], [f'second/{volume.name}'], to=_element_type(volume)))
    return nodes
