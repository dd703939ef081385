"""Two graphs in a row, with a step between that only its authors' GPU code computes, as one ONNX graph.

Joined once, such a model is like any other: one file for one session on any provider, one engine, nothing copied
between.
"""

import os
from pathlib import Path
from typing import Any

from depth_ros.errors import ModelLoadError, ModelMismatch
from depth_ros.networks.manifest import Bridge

_EPSILON = 1e-5
"""Keeps the normalised correlation finite; as NVlabs/Fast-FoundationStereo has it."""


def write_joined(first: Path, second: Path, bridge: Bridge, out: Path) -> None:
    """Join two files into one; it appears under its name only when it is whole.

    Args:
        first: Takes the pictures.
        second: Takes what the first gives under the same names, and the bridge's output.
        bridge: What to compute between them.
        out: The joined file.

    Raises:
        ModelLoadError: the onnx package is missing, a file is damaged, or ``out`` cannot be written.
        ModelMismatch: the files do not fit together.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelLoadError(
            f'{first.name} and {second.name} are joined with the onnx package: pip install onnx ({error})'
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
            f'{names} have the opsets {opsets[0]} and {opsets[1]}; expected the same. Export them together'
        )
    given = {value.name: value for value in first.graph.output}
    wanted = {value.name: value for value in second.graph.input}
    missing = (wanted.keys() - {bridge.output} - given.keys()) | ({bridge.left, bridge.right} - given.keys())
    if missing or bridge.output not in wanted:
        raise ModelMismatch(
            f'{names} do not fit: the second wants {", ".join(wanted)}, the first gives {", ".join(given)}, between '
            f'them is {bridge.output} of {bridge.left} and {bridge.right}'
        )
    before = compose.add_prefix(first, 'first/', rename_inputs=False)
    after = compose.add_prefix(second, 'second/', rename_outputs=False)
    glue = [
        helper.make_node('Cast', [f'first/{name}'], [f'second/{name}'], to=_element_type(value))
        for name, value in wanted.items()
        if name in given
    ]
    glue += _group_wise_correlation(f'first/{bridge.left}', f'first/{bridge.right}', wanted[bridge.output])
    graph = helper.make_graph(
        [*before.graph.node, *glue, *after.graph.node], 'joined', before.graph.input, after.graph.output,
        [*before.graph.initializer, *after.graph.initializer],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)


def _element_type(value: Any) -> int:
    return int(value.type.tensor_type.elem_type)


def _group_wise_correlation(left: str, right: str, volume: Any) -> list[Any]:
    """Return the nodes of ``volume[g, d, y, x] = <left_g[y, x], right_g[y, x - d]> / (|left_g| |right_g| + ε)``.

    Left and right are (1, C, H, W) features whose channels fall into groups; where x < d the volume is 0. The sizes are
    those that the second graph declares for it: (1, groups, disparities, H, W).
    """
    from onnx import TensorProto, helper

    sizes = [dim.dim_value for dim in volume.type.tensor_type.shape.dim]
    if len(sizes) != 5 or not all(sizes):
        raise ModelMismatch(
            f'{volume.name} has the shape {sizes}; expected 1, groups, disparities, height, width as numbers'
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
