"""The format of a model file, by its content: a file for another runtime is refused with the runtime that it needs."""

import zipfile
from pathlib import Path
from typing import Literal

from depth_ros.errors import ModelLoadError

Format = Literal['ONNX', 'TensorFlow Lite', 'TorchScript', 'torch.export', 'torch checkpoint']
_RUNTIME: dict[Format, str] = {
    'ONNX': 'onnxruntime', 'TensorFlow Lite': 'litert', 'TorchScript': 'torch', 'torch.export': 'torch'
}  # fmt: skip
MODEL_SUFFIXES = ('.onnx', '.tflite', '.pt', '.pt2')
"""Suffixes of model files."""
_PICKLE = b'\x80'
"""First byte of a pickle of protocol 2 or later, the format of torch.save before 1.6."""


def check_format(path: Path, *expected: Format) -> Format:
    """Return the format of a file.

    Args:
        path: The file.
        expected: Formats that the runtime can open.

    Raises:
        ModelLoadError: the path is not a file, or the file has another format.
    """
    if not path.is_file():
        raise ModelLoadError(
            f'{path} is not a file; expected a file of the format {" or ".join(expected)}. depth-ros models show prints'
            ' where to get one'
        )
    found = _format(path)
    if found in expected:
        return found
    remedy = (
        f'Set runtime: {{backends: [{_RUNTIME[found]}]}} in its manifest'
        if found in _RUNTIME
        else 'Save the network with torch.export.save or torch.jit.save; a checkpoint holds weights and no graph, and '
        'reading one can execute code'
    )
    raise ModelLoadError(f'{path} has the format {found}; expected {" or ".join(expected)}. {remedy}')


def _format(path: Path) -> Format:
    """Return the format; a file of unknown content counts as ONNX, whose format has no signature."""
    with path.open('rb') as file:
        start = file.read(8)
    if start[4:8] == b'TFL3':  # file identifier of the schema of TensorFlow Lite
        return 'TensorFlow Lite'
    if start[:2] == b'PK':
        try:
            with zipfile.ZipFile(path) as archive:
                names = {name.partition('/')[2] for name in archive.namelist()}
        except zipfile.BadZipFile as error:
            raise ModelLoadError(f'{path} is a damaged zip archive: {error}. Download or export it again') from error
        if 'archive_format' in names or 'models/model.json' in names:
            return 'torch.export'
        return 'TorchScript' if any(name.startswith('code/') for name in names) else 'torch checkpoint'
    return 'torch checkpoint' if start[:1] == _PICKLE else 'ONNX'
