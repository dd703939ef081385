"""Does a file hold what its manifest says? Told at configure, never at the first frame."""

from dataclasses import replace

from depth_ros.errors import ModelMismatch
from depth_ros.networks.input_placement import InputPlacement, Size
from depth_ros.networks.manifest import InputTensor, Manifest
from depth_ros.networks.runtimes.runtime import Runtime, TensorInfo


def check_tensors(manifest: Manifest, backend: Runtime) -> Manifest:
    """Compare names, ranks, types and channels; return the manifest with the file's own names for ``*``.

    Raises:
        ModelMismatch: with one table, declared against found.
    """
    inputs = tuple(
        replace(each, name=backend.inputs[0].name) if each.name == '*' and backend.inputs else each
        for each in manifest.inputs
    )
    found_in = {info.name: info for info in backend.inputs}
    found_out = {info.name: info for info in backend.outputs}
    kept = tuple(each for each in inputs if each.name in found_in or not each.optional)
    rows = [(each.name, _declared(each, manifest), found_in.get(each.name)) for each in kept]
    problems = [f'input {name}: {said}; {_found(info)}' for name, said, info in rows if not _fits(said, info)]
    declared_names = {each.name for each in kept}
    problems += [
        f'input {name}: not declared; {_found(info)}' for name, info in found_in.items() if name not in declared_names
    ]
    for output in manifest.outputs:
        info = backend.outputs[0] if output.name == '*' and backend.outputs else found_out.get(output.name)
        said = f'{len(output.layout)} axes {output.layout}'
        if info is None and output.optional:
            continue
        if info is None or (info.shape and len(info.shape) != len(output.layout)):
            problems.append(f'output {output.name}: {said}; {_found(info)}')
    if problems:
        raise ModelMismatch(f'{manifest.id}: the file is not what its manifest declares:\n  ' + '\n  '.join(problems))
    return replace(manifest, inputs=kept)


def fixed_size(manifest: Manifest, backend: Runtime) -> Size | None:
    """Return the width and height that the graph insists on, if it does."""
    found = {info.name: info for info in backend.inputs}
    for each in manifest.inputs:
        info = found.get(each.name)
        if each.role in ('image', 'left', 'pair') and info is not None and len(info.shape) == 4:
            height, width = info.shape[2:] if each.layout == 'NCHW' else info.shape[1:3]
            if isinstance(height, int) and isinstance(width, int):
                return width, height
    return None


def check_output_size(manifest: Manifest, canvas: InputPlacement, height: int, width: int) -> None:
    """Compare the size of a real output with the input's; exports that froze a size are caught here.

    Raises:
        ModelMismatch: the aspect differs, so the output does not cover the input's view.
    """
    ratio_x, ratio_y = width / canvas.size[0], height / canvas.size[1]
    if abs(ratio_x / ratio_y - 1) > 0.02:
        raise ModelMismatch(
            f'{manifest.id}: an input of {canvas.size[0]}x{canvas.size[1]} gave an output of {width}x{height}; '
            'expected the same shape of picture. The export has frozen its size: export it again for one size, or right'
        )


def _declared(each: InputTensor, manifest: Manifest) -> str:
    if each.role == 'scalar':
        return each.dtype
    channels = {'gray': 1}.get(each.color, 3) * (2 if each.role == 'pair' else 1)
    return f'{each.dtype} {each.layout} with {channels} channels'


def _fits(declared: str, info: TensorInfo | None) -> bool:
    if info is None:
        return False
    words = declared.split()
    if info.dtype != words[0]:
        return False
    if len(words) == 1:
        return True
    if len(info.shape) != 4:
        return False
    channels = info.shape[1 if words[1] == 'NCHW' else 3]
    return channels in (None, int(words[3]))


def _found(info: TensorInfo | None) -> str:
    if info is None:
        return 'the file has none of that name'
    shape = 'x'.join('?' if side is None else str(side) for side in info.shape)
    return f'the file has {info.dtype} {shape or "scalar"}'
