"""Checkpoints → ONNX files that fit our manifests, each checked against torch before it is kept.

What torch's tracing gets wrong for a family is put right in ``recipes``. A file for any size is traced at one that is
not square, because position embeddings are skipped for square inputs. Beside the file go its manifest and what full
precision gave for a stored picture, which is compared again at every load.
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
from depth_ros.networks.manifest import Artifact, Manifest
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions
from depth_ros.networks.runtimes.runtime import Precision
from depth_ros.networks.self_check import LARGEST_DIFFERENCE, reference_path, relative_difference, stored_image
from depth_ros.types import AnyArray

OPSET = 17
"""The newest at which TensorRT's GridSample and every runtime of the last years agree."""
LARGEST_DIFFERENCE_ON_NOISE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What came of an export."""

    onnx: Path
    manifest: Path
    sizes: tuple[Size, ...]
    """At which torch and ONNX Runtime were compared."""
    difference: float
    """Largest relative difference between them; in half precision, the median on the stored picture."""


def export(
    manifest: Manifest,
    weights: str,
    out: Path,
    size: Size | None = None,
    dynamic: bool = False,
    half: bool = False,
) -> Exported:
    """Export a checkpoint, compare it with torch, and write the manifest of the very file beside it.

    Args:
        manifest: Of a family that has a recipe.
        weights: A folder with the checkpoint, or a hub id.
        out: The ONNX file to write.
        size: Of the network's input; None = the manifest's own.
        dynamic: Let the file take any size; only for families that can.
        half: Compute in half precision; inputs and outputs stay float32.

    Raises:
        ModelError: no recipe for this family, or the sizes are not possible.
        ModelLoadError: torch, the family's library or the checkpoint is missing.
        ModelMismatch: torch and ONNX Runtime do not agree; nothing is kept.
    """
    _require_libraries()
    if dynamic and not manifest.artifact.dynamic:
        raise ModelError(f'{manifest.id} cannot be exported for any size; leave --dynamic away and give --size')
    traced = size or _default_size(manifest, dynamic)
    network = recipes.network(manifest, weights)
    _trace(network, manifest, out, traced, dynamic)
    if half:
        _halve(out)
    precision: Precision = 'fp16' if half else 'fp32'
    described = _described(manifest, out, traced, dynamic, precision)
    fixed = None if dynamic else traced
    sizes = (traced, _other_size(manifest, traced)) if dynamic else (traced,)
    tensors, expected = _stored_image(network, described, fixed)
    if half:
        found = OnnxRuntime(out, RuntimeOptions('cpu')).infer(tensors)
        difference = relative_difference(expected, found[described.main_output.name])
    else:
        difference = max(_difference(network, manifest, out, each) for each in sizes)
    limit = LARGEST_DIFFERENCE[precision] if half else LARGEST_DIFFERENCE_ON_NOISE
    if not difference <= limit:
        out.unlink()
        raise ModelMismatch(
            f'{manifest.id}: ONNX Runtime in {precision} and torch differ by {difference:.2g} of the depth; expected '
            f'at most {limit:g}. The file was not kept'
        )
    np.savez_compressed(reference_path(out), expected=expected)
    return Exported(out, _write_manifest(described, out), sizes, difference)


def _require_libraries() -> None:
    try:
        import onnx  # noqa: F401  (used after minutes of tracing)
        import torch  # noqa: F401
    except ImportError as error:
        raise ModelLoadError(f'exporting needs torch and onnx ({error}): {install_command("export")}') from error


def _trace(network: Any, manifest: Manifest, out: Path, size: Size, dynamic: bool) -> None:
    import warnings

    import torch

    width, height = size
    names = [output.name for output in manifest.outputs]
    axes = {manifest.inputs[0].name: {2: 'height', 3: 'width'}} if dynamic else {}
    if dynamic:
        axes |= {
            o.name: {o.layout.index('H'): 'h', o.layout.index('W'): 'w'} for o in manifest.outputs if 'H' in o.layout
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of tracing: what it bakes in is checked against torch below
        torch.onnx.export(
            network, (torch.zeros(1, 3, height, width),), str(out), input_names=[manifest.inputs[0].name],
            output_names=names, dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


def _difference(network: Any, manifest: Manifest, out: Path, size: Size) -> float:
    """Return the largest difference of both engines on noise, relative to the largest magnitude of each output."""
    import torch

    tensor = np.random.default_rng(0).normal(size=(1, 3, size[1], size[0])).astype(np.float32)
    with torch.no_grad():
        expected = [value.numpy() for value in network(torch.from_numpy(tensor))]
    found = OnnxRuntime(out, RuntimeOptions('cpu')).infer({manifest.inputs[0].name: tensor})
    return max(_relative(a, found[o.name]) for a, o in zip(expected, manifest.outputs, strict=True))


def _relative(expected: AnyArray, found: AnyArray) -> float:
    if expected.shape != found.shape:
        return float('inf')
    return float(np.abs(expected - found).max() / max(float(np.abs(expected).max()), 1e-6))


def _stored_image(network: Any, manifest: Manifest, fixed: Size | None) -> tuple[dict[str, AnyArray], AnyArray]:
    """Return the stored picture as this file's input, and what torch gives for it."""
    import torch

    _, tensors = stored_image(manifest, fixed)
    index = manifest.outputs.index(manifest.main_output)
    with torch.no_grad():
        return tensors, network(torch.from_numpy(tensors[manifest.inputs[0].name]))[index].numpy()


def _halve(path: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    large = path.stat().st_size > 1 << 30  # shape inference takes no graph beyond 2 GB
    halved = convert_float_to_float16(onnx.load(path), keep_io_types=True, disable_shape_infer=large)
    onnx.save(halved, path)


def _default_size(manifest: Manifest, dynamic: bool) -> Size:
    """Return the size that the manifest names, or for any size one that is not square."""
    rule = manifest.preprocess.resize
    if not dynamic and rule.width and rule.height:
        return rule.width, rule.height
    return plan(manifest.preprocess, (640, 480)).size


def _other_size(manifest: Manifest, size: Size) -> Size:
    step = manifest.preprocess.resize.multiple_of
    return size[0] + 2 * step, size[1] - step if size[1] > step else size[1] + step


def _described(manifest: Manifest, out: Path, size: Size, dynamic: bool, precision: Precision) -> Manifest:
    """Return the manifest of this very file: its name, checksum, and the size it takes if it takes only one."""
    artifact = Artifact(
        f'exported by depth-ros {__version__} from a checkpoint of {manifest.id}', out.name, sha256(out),
        dynamic=dynamic, opset=OPSET, precision=precision, reference=reference_path(out).name,
    )  # fmt: skip
    rules = manifest.preprocess
    if not dynamic:
        rules = replace(rules, pad=None, resize=replace(rules.resize, mode='stretch', width=size[0], height=size[1]))
    return replace(manifest, artifact=artifact, preprocess=rules, published='')


def _write_manifest(manifest: Manifest, out: Path) -> Path:
    path = out.with_suffix('.yaml')
    content = _plain_data(asdict(manifest))
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110), encoding='utf-8')
    return path


def _plain_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_data(each) for key, each in value.items() if each is not None}
    return [_plain_data(each) for each in value] if isinstance(value, tuple | list) else value
