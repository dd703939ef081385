"""Export of checkpoints to ONNX files that match a manifest; each file is compared with torch before it is kept.

``recipes`` works around the errors of torch's tracing for each family. A file for any size is traced at a size that is
not square, because models skip the position embeddings for square inputs. The manifest of the file and the
full-precision output for the self-check image are written beside it; every load compares with this output.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from depth_ros import __version__
from depth_ros.errors import ModelError, ModelLoadError, ModelMismatch
from depth_ros.export import recipes
from depth_ros.files.install_command import install_command
from depth_ros.files.model_cache import sha256
from depth_ros.networks.input_placement import Size, plan
from depth_ros.networks.manifest import Artifact, InputTensor, Manifest
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.runtime import Precision, RuntimeOptions
from depth_ros.networks.self_check import MAX_DIFFERENCE, reference_path, relative_difference, self_check_input
from depth_ros.types import AnyArray

OPSET = 17
"""The newest opset that TensorRT's GridSample and all runtimes of the last years support."""
MAX_DIFFERENCE_ON_NOISE = 1e-3


@dataclass(frozen=True)
class ExportResult:
    """Result of an export."""

    onnx: Path
    manifest: Path
    sizes: tuple[Size, ...]
    """Input sizes at which torch and ONNX Runtime were compared."""
    difference: float
    """Largest relative difference between torch and ONNX Runtime; in half precision, the median difference on the
    self-check image."""


def export(
    manifest: Manifest,
    weights: str,
    out: Path,
    size: Size | None = None,
    dynamic: bool = False,
    half: bool = False,
) -> ExportResult:
    """Export a checkpoint, compare the file with torch, and write the manifest of this file beside it.

    Args:
        manifest: Manifest of a model whose family has a recipe.
        weights: Folder of the checkpoint, or a hub id.
        out: Path of the ONNX file to write.
        size: Width and height of the network's input; None = the size in the manifest.
        dynamic: Whether the file accepts any size; possible for some families only.
        half: Whether the file computes in half precision; inputs and outputs remain float32.

    Raises:
        ModelError: there is no recipe for this family, or the size is impossible.
        ModelLoadError: torch, the family's library or the checkpoint is missing.
        ModelMismatch: the outputs of torch and ONNX Runtime differ; the file is deleted.
    """
    _require_libraries()
    if dynamic and not manifest.artifact.dynamic:
        raise ModelError(f'{manifest.id} cannot be exported for any size. Omit --dynamic and set --size')
    traced = size or _default_size(manifest, dynamic)
    network = recipes.network(manifest, weights)
    _trace(network, manifest, out, traced, dynamic)
    if half:
        _halve(out)
    precision: Precision = 'fp16' if half else 'fp32'
    described = _file_manifest(manifest, out, traced, dynamic, precision)
    fixed = None if dynamic else traced
    sizes = (traced, _other_size(manifest, traced)) if dynamic else (traced,)
    tensors, expected = _self_check(network, described, fixed)
    if half:
        outputs = OnnxRuntime(out, RuntimeOptions('cpu')).infer(tensors)
        difference = relative_difference(expected, outputs[described.main_output.name])
    else:
        difference = max(_difference(network, manifest, out, each) for each in sizes)
    limit = MAX_DIFFERENCE[precision] if half else MAX_DIFFERENCE_ON_NOISE
    if not difference <= limit:
        out.unlink()
        raise ModelMismatch(
            f'{manifest.id}: ONNX Runtime in {precision} and torch differ by {difference:.2g} of the depth; expected '
            f'at most {limit:g}. The file was deleted; export another size or precision'
        )
    np.savez_compressed(reference_path(out), expected=expected)
    return ExportResult(out, write_manifest(described, out), sizes, difference)


def _require_libraries() -> None:
    try:
        import onnx  # noqa: F401  (used only after tracing, which takes minutes)
        import torch  # noqa: F401
    except ImportError as error:
        raise ModelLoadError(f'exporting needs torch and onnx ({error}): {install_command("export")}') from error


def _trace(network: Any, manifest: Manifest, out: Path, size: Size, dynamic: bool) -> None:
    import warnings

    import torch

    names = [output.name for output in manifest.outputs]
    axes = {manifest.inputs[0].name: {2: 'height', 3: 'width'}} if dynamic else {}
    if dynamic:
        axes |= {
            o.name: {o.layout.index('H'): 'h', o.layout.index('W'): 'w'} for o in manifest.outputs if 'H' in o.layout
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # warnings of tracing; the caller compares the file with torch
        torch.onnx.export(
            network, tuple(map(torch.from_numpy, _noise(manifest, size).values())), str(out),
            input_names=[each.name for each in _exported_inputs(manifest)],
            output_names=names, dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def _difference(network: Any, manifest: Manifest, out: Path, size: Size) -> float:
    """Return the largest difference between torch and ONNX Runtime on noise, relative to the output's maximum."""
    import torch

    tensors = _noise(manifest, size)
    with torch.no_grad():
        expected = [value.numpy() for value in network(*map(torch.from_numpy, tensors.values()))]
    outputs = OnnxRuntime(out, RuntimeOptions('cpu')).infer(tensors)
    return max(_relative(a, outputs[o.name]) for a, o in zip(expected, manifest.outputs, strict=True))


def _exported_inputs(manifest: Manifest) -> tuple[InputTensor, ...]:
    """Return the inputs of an exported file: the image, and the prompt depth if the network takes one."""
    return tuple(each for each in manifest.inputs if each.role in ('image', 'prompt_depth'))


def _noise(manifest: Manifest, size: Size) -> dict[str, AnyArray]:
    """Return noise as the inputs of a file: a normal image, and a prompt depth from 1 m to 3 m."""
    rng = np.random.default_rng(0)
    tensors: dict[str, AnyArray] = {}
    for each in _exported_inputs(manifest):
        if each.size is not None:
            tensors[each.name] = rng.uniform(1, 3, (1, 1, each.size[1], each.size[0])).astype(np.float32)
        else:
            tensors[each.name] = rng.normal(size=(1, 3, size[1], size[0])).astype(np.float32)
    return tensors


def _relative(expected: AnyArray, actual: AnyArray) -> float:
    if expected.shape != actual.shape:
        return float('inf')
    return float(np.abs(expected - actual).max() / max(float(np.abs(expected).max()), 1e-6))


def _self_check(network: Any, manifest: Manifest, fixed: Size | None) -> tuple[dict[str, AnyArray], AnyArray]:
    """Return the self-check image as the input of this file, and the output of torch for it."""
    import torch

    _, tensors = self_check_input(manifest, fixed)
    index = manifest.outputs.index(manifest.main_output)
    with torch.no_grad():
        inputs = [torch.from_numpy(tensors[each.name]) for each in _exported_inputs(manifest)]
        return tensors, network(*inputs)[index].numpy()


def _halve(path: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    large = path.stat().st_size > 1 << 30  # shape inference does not support graphs beyond 2 GB
    halved = convert_float_to_float16(onnx.load(path), keep_io_types=True, disable_shape_infer=large)
    onnx.save(halved, path)


def _default_size(manifest: Manifest, dynamic: bool) -> Size:
    """Return the size in the manifest, or for a dynamic file a size that is not square."""
    rule = manifest.preprocess.resize
    if not dynamic and rule.width and rule.height:
        return rule.width, rule.height
    return plan(manifest.preprocess, (640, 480)).size


def _other_size(manifest: Manifest, size: Size) -> Size:
    step = manifest.preprocess.resize.multiple_of
    return size[0] + 2 * step, size[1] - step if size[1] > step else size[1] + step


def _file_manifest(manifest: Manifest, out: Path, size: Size, dynamic: bool, precision: Precision) -> Manifest:
    """Return the manifest of this file, with its name, checksum, and size if it is fixed."""
    artifact = Artifact(
        f'exported by depth-ros {__version__} from a checkpoint of {manifest.id}', out.name, sha256(out),
        dynamic=dynamic, opset=OPSET, precision=precision, reference=reference_path(out).name,
    )  # fmt: skip
    rules = manifest.preprocess
    if not dynamic:
        rules = replace(rules, pad=None, resize=replace(rules.resize, mode='stretch', width=size[0], height=size[1]))
    return replace(manifest, artifact=artifact, preprocess=rules, published='')


def write_manifest(manifest: Manifest, out: Path) -> Path:
    """Write a manifest beside its model file, with the same name; return its path."""
    path = out.with_suffix('.yaml')
    content = _plain_data(asdict(manifest))
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110), encoding='utf-8')
    return path


def _plain_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_data(each) for key, each in value.items() if each is not None}
    return [_plain_data(each) for each in value] if isinstance(value, tuple | list) else value
