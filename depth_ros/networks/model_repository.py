"""A model as a folder for Triton: configuration, version and ONNX file.

The layout and the configuration follow the documentation of Triton (model repository, model configuration); OpenVINO
Model Server reads the same folders of versions.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from depth_ros.errors import BadFile, ModelLoadError
from depth_ros.files.install_command import install_command
from depth_ros.networks.runtimes.runtime import TensorInfo

_TYPES = {
    'float32': 'FP32', 'float64': 'FP64', 'float16': 'FP16', 'uint8': 'UINT8', 'int8': 'INT8', 'int32': 'INT32',
    'int64': 'INT64', 'bool': 'BOOL',
}  # fmt: skip


def write_model(
    name: str, onnx: Path, inputs: Iterable[TensorInfo], outputs: Iterable[TensorInfo], repository: Path
) -> Path:
    """Write a model into a repository; a model of this name that was written before is replaced.

    Args:
        name: Name of the model on the server.
        onnx: The file; its external weights are copied too.
        inputs: Inputs of the graph.
        outputs: Outputs of the graph.
        repository: Folder of the repository; created if it does not exist.

    Returns:
        The folder of the model.

    Raises:
        BadFile: the folder cannot be written, or contains something else.
        ModelLoadError: the file cannot be read, or onnx is not installed.
    """
    target, scratch = repository / name, repository / f'.{name}.new'
    if target.exists() and not (target / 'config.pbtxt').is_file():
        raise BadFile(
            f'{target} exists and is not a model of Triton; expected no such folder. Remove it or use another'
        )
    weights = external_weights(onnx)
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        version = scratch / '1'
        version.mkdir(parents=True)
        (scratch / 'config.pbtxt').write_text(configuration(name, inputs, outputs), encoding='utf-8')
        shutil.copyfile(onnx, version / 'model.onnx')
        for each in weights:
            (version / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(onnx.parent / each, version / each)
        shutil.rmtree(target, ignore_errors=True)
        scratch.rename(target)
    except OSError as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise BadFile(f'{target} cannot be written: {error.strerror or error}. Use another folder') from error
    return target


def configuration(name: str, inputs: Iterable[TensorInfo], outputs: Iterable[TensorInfo]) -> str:
    """Return the content of ``config.pbtxt``; the server chooses the device."""
    return (
        f'# written by depth-ros models serve\nname: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: 0\n'
        + ''.join(f'input {{ {_tensor(each)} }}\n' for each in inputs)
        + ''.join(f'output {{ {_tensor(each)} }}\n' for each in outputs)
    )


def _tensor(info: TensorInfo) -> str:
    sides = ', '.join('-1' if side is None else str(side) for side in info.shape)
    dims = f'dims: [ {sides} ]' if info.shape else 'dims: [ 1 ] reshape: { shape: [ ] }'  # Triton has no scalars
    return f'name: "{info.name}" data_type: TYPE_{_TYPES[info.dtype]} {dims}'


def external_weights(path: Path) -> tuple[str, ...]:
    """Return the names of the files with weights that an ONNX file refers to, relative to its folder.

    Raises:
        ModelLoadError: the file cannot be read, a name leaves the folder, or onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelLoadError(f'onnx is not installed ({error}): {install_command("quantize")}') from error
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf raises its own types for damaged files
        raise ModelLoadError(f'{path} cannot be read by onnx: {error}. Download or export it again') from error
    names = sorted({entry.value for each in _tensors(graph) for entry in each.external_data if entry.key == 'location'})
    for name in names:
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts:
            raise ModelLoadError(f"{path}: its weights are in '{name}'; expected a file in the folder of the model")
    return tuple(names)


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield the stored tensors of a graph, including those of nodes and their subgraphs."""
    yield from graph.initializer
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField('t'):
            yield attribute.t
        yield from attribute.tensors
        for subgraph in (*([attribute.g] if attribute.HasField('g') else []), *attribute.graphs):
            yield from _tensors(subgraph)
