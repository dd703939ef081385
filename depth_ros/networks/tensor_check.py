"""Comparison of a file with its manifest, when the network is loaded."""

from collections.abc import Mapping
from dataclasses import replace

from depth_ros.errors import ModelMismatch
from depth_ros.networks.input_placement import InputPlacement, Size
from depth_ros.networks.manifest import InputTensor, Manifest, OutputTensor
from depth_ros.networks.runtimes.runtime import Runtime, TensorInfo


def check_tensors(manifest: Manifest, runtime: Runtime) -> Manifest:
    """Compare names, ranks, types and channels; return the manifest with the names that the file uses.

    Raises:
        ModelMismatch: the file does not match; the message lists each difference.
    """
    inputs = tuple(
        replace(each, name=runtime.inputs[0].name) if each.name == '*' and runtime.inputs else each
        for each in manifest.inputs
    )
    file_inputs = {info.name: info for info in runtime.inputs}
    file_outputs = {info.name: info for info in runtime.outputs}
    present = tuple(each for each in inputs if each.name in file_inputs or not each.optional)
    rows = [(each.name, _declared(each, manifest), file_inputs.get(each.name)) for each in present]
    problems = [
        f'input {name}: {declared}; {_in_file(info)}' for name, declared, info in rows if not _matches(declared, info)
    ]
    declared_names = {each.name for each in present}
    problems += [
        f'input {name}: not declared; {_in_file(info)}'
        for name, info in file_inputs.items()
        if name not in declared_names
    ]
    outputs = tuple(replace(each, name=_name_in_file(each, file_outputs)) for each in manifest.outputs)
    for output in outputs:
        info = runtime.outputs[0] if output.name == '*' and runtime.outputs else file_outputs.get(output.name)
        declared = f'{len(output.layout)} axes {output.layout}'
        if info is None and output.optional:
            continue
        if info is None or (info.shape and len(info.shape) != len(output.layout)):
            problems.append(f'output {output.name}: {declared}; {_in_file(info)}')
    if problems:
        raise ModelMismatch(f'{manifest.id}: the file does not match its manifest:\n  ' + '\n  '.join(problems))
    return replace(manifest, inputs=present, outputs=outputs)


def _name_in_file(output: OutputTensor, file_outputs: Mapping[str, TensorInfo]) -> str:
    """Return the name that the file gives an output; the name in the manifest if the file has none of the names."""
    return next((name for name in (output.name, *output.also) if name in file_outputs), output.name)


def fixed_size(manifest: Manifest, runtime: Runtime) -> Size | None:
    """Return the width and height of the graph's input; None if it accepts any size."""
    file_inputs = {info.name: info for info in runtime.inputs}
    for each in manifest.inputs:
        info = file_inputs.get(each.name)
        if each.role in ('image', 'left', 'pair') and info is not None and len(info.shape) == 4:
            height, width = info.shape[2:] if each.layout == 'NCHW' else info.shape[1:3]
            if isinstance(height, int) and isinstance(width, int):
                return width, height
    return None


def check_output_size(manifest: Manifest, placement: InputPlacement, height: int, width: int) -> None:
    """Compare the size of an output with that of the input, to detect exports with a frozen output size.

    Raises:
        ModelMismatch: the aspect ratios differ, so the output does not cover the field of view of the input.
    """
    ratio_x, ratio_y = width / placement.size[0], height / placement.size[1]
    if abs(ratio_x / ratio_y - 1) > 0.02:
        raise ModelMismatch(
            f'{manifest.id}: an input of {placement.size[0]}x{placement.size[1]} gave an output of {width}x{height}; '
            'expected the same aspect ratio. The output size is frozen in the file: export it again, for one fixed '
            'input size or with a dynamic output'
        )


def _declared(each: InputTensor, manifest: Manifest) -> str:
    if each.role == 'scalar':
        return each.dtype
    channels = 1 if each.role == 'prompt_depth' else {'gray': 1}.get(each.color, 3) * (2 if each.role == 'pair' else 1)
    return f'{each.dtype} {each.layout} with {channels} channels'


def _matches(declared: str, info: TensorInfo | None) -> bool:
    if info is None:
        return False
    if not info.dtype:
        return True  # TorchScript states neither type nor shape
    dtype, *rest = declared.split()  # as written by _declared
    if info.dtype != dtype:
        return False
    if not rest:
        return True
    if len(info.shape) != 4:
        return False
    channels = info.shape[1 if rest[0] == 'NCHW' else 3]
    return channels in (None, int(rest[2]))


def _in_file(info: TensorInfo | None) -> str:
    if info is None:
        return 'the file has none with this name'
    shape = 'x'.join('?' if side is None else str(side) for side in info.shape)
    return f'the file has {info.dtype} {shape or "scalar"}'
