"""Self-check of files in half precision that have no reference: the CPU computes the same file.

ONNX Runtime's CPU provider computes most operators of such a file in full precision. Overflows and rounding of another
device appear as a difference to it.
"""

import hashlib
import os
from contextlib import closing
from pathlib import Path

import numpy as np

from depth_ros.errors import InferenceError, ModelLoadError
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.input_placement import Size
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.runtimes.onnx_file import computes_in_half_precision
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import Precision, Runtime, RuntimeOptions
from depth_ros.networks.self_check import read_reference, self_check_input
from depth_ros.networks.tensor_check import check_tensors, fixed_size
from depth_ros.types import AnyArray

_CPU = 'CPUExecutionProvider'


def reference_of_half_precision(
    manifest: Manifest, path: Path, runtime: Runtime, input_size: Size | None, listener: ProgressListener
) -> tuple[AnyArray | None, Precision]:
    """Return the output of the CPU for the self-check image if a file is in half precision, and the file's precision.

    Args:
        manifest: Description of the file.
        path: ONNX file.
        runtime: Runtime that has loaded the file.
        input_size: Input size of the network, if the graph accepts any size; None = that of the self-check image.
        listener: Receives a report before the computation, which can take minutes, and if it is impossible.

    Returns:
        The output is None for full precision, if the file runs on the CPU, or if the CPU cannot compute it.

    Raises:
        ModelMismatch: the file does not match its manifest.
    """
    half = manifest.artifact.precision == 'fp16' or computes_in_half_precision(path)
    if not half or runtime.device.startswith(_CPU):
        return None, 'fp16' if half else 'fp32'
    return _cpu_reference(manifest, path, input_size, listener), 'fp16'


def _cpu_reference(
    manifest: Manifest, path: Path, input_size: Size | None, listener: ProgressListener
) -> AnyArray | None:
    """Return the main output for the self-check image, computed on the CPU; it is stored for later starts."""
    key = hashlib.sha256(f'{sha256(path)} {manifest.preprocess} {input_size}'.encode()).hexdigest()[:24]
    stored = cache_folder() / 'references' / f'{manifest.id}-{key}.npz'
    if stored.is_file():
        return read_reference(stored)
    listener.report(f'computing {path.name} on the CPU, for the self-check in half precision')
    try:
        with closing(OnnxRuntime(path, RuntimeOptions('cpu'))) as runtime:
            checked = check_tensors(manifest, runtime)
            _, inputs = self_check_input(checked, fixed_size(checked, runtime) or input_size)
            outputs = runtime.infer(inputs)
    except (ModelLoadError, InferenceError) as error:
        listener.report(f'no self-check in half precision: the CPU cannot compute {path.name}: {error}')
        return None
    main = checked.main_output.name
    reference = next(iter(outputs.values())) if main == '*' else outputs[main]
    _store(reference, stored)
    return reference


def _store(reference: AnyArray, path: Path) -> None:
    """Write a reference; without write permission, it is computed again at the next start."""
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open('wb') as file:
            np.savez(file, expected=reference)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
