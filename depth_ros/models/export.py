"""Checkpoints of transformers → ONNX files that fit our manifests, each checked against torch before it is kept.

The traps that are avoided here, each with a test: Depth Anything's head freezes the output's size by ``int()``;
ZoeDepth-NK's router is a Python branch, of which tracing keeps only the one taken, so a head is chosen before; position
embeddings are skipped for square inputs, so a file for any size is traced at one that is not square.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from depth_ros.backends.onnx_runtime import OnnxRuntimeBackend, Options
from depth_ros.errors import ModelError, ModelLoadError, ModelMismatch
from depth_ros.models.canvas import Size, plan
from depth_ros.models.catalog import sha256
from depth_ros.models.manifest import Manifest
from depth_ros.types import AnyArray

OPSET = 17
"""The newest at which TensorRT's GridSample and every runtime of the last years agree."""
LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What came of an export."""

    onnx: Path
    manifest: Path
    sizes: tuple[Size, ...]
    """At which torch and ONNX Runtime were compared."""
    difference: float
    """Largest relative difference between them."""


def export(manifest: Manifest, weights: str, out: Path, size: Size | None = None, dynamic: bool = False) -> Exported:
    """Export a checkpoint, compare it with torch, and write the manifest of the very file beside it.

    Args:
        manifest: Of a family that transformers can build.
        weights: A folder with ``config.json`` and weights, or a hub id.
        out: The ONNX file to write.
        size: Of the network's input; None = the manifest's own.
        dynamic: Let the file take any size; only for families that can.

    Raises:
        ModelError: no recipe for this family, or the sizes are not possible.
        ModelLoadError: torch, transformers or the checkpoint is missing.
        ModelMismatch: torch and ONNX Runtime do not agree; nothing is written.
    """
    recipe = _RECIPES.get(manifest.family)
    if recipe is None:
        raise ModelError(
            f"{manifest.id}: family '{manifest.family}' cannot be exported here; there are recipes for "
            f'{", ".join(_RECIPES)}. Where to get a file: {manifest.artifact.source}'
        )
    if dynamic and not manifest.artifact.dynamic:
        raise ModelError(f'{manifest.id} cannot be exported for any size; leave --dynamic away and give --size')
    traced = size or _default_size(manifest, dynamic)
    network = recipe(_checkpoint(weights), manifest)
    _trace(network, manifest, out, traced, dynamic)
    sizes = (traced, _other_size(manifest, traced)) if dynamic else (traced,)
    difference = max(_difference(network, manifest, out, each) for each in sizes)
    if not difference <= LARGEST_DIFFERENCE:
        out.unlink()
        raise ModelMismatch(
            f'{manifest.id}: ONNX Runtime and torch differ by {difference:.2g} of the depth; expected at most '
            f'{LARGEST_DIFFERENCE:g}. The file was not kept'
        )
    return Exported(out, _write_manifest(manifest, out, traced, dynamic), sizes, difference)


def _checkpoint(weights: str) -> Any:
    try:
        from transformers import AutoModelForDepthEstimation
    except ImportError as error:
        raise ModelLoadError(
            f'exporting needs torch and transformers ({error}): pip install depth_ros[export]'
        ) from error
    try:
        return AutoModelForDepthEstimation.from_pretrained(weights).eval()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelLoadError(
            f"'{weights}' is no checkpoint that transformers can load: {reason}. Give a folder with config.json and "
            'weights, or a hub id while online'
        ) from error


# Recipes: checkpoint, manifest → a module that returns a tuple in the order of the manifest's outputs.


def _plain(network: Any, manifest: Manifest) -> Any:
    return _as_tuple(network, [output.name for output in manifest.outputs])


def _depth_anything(network: Any, manifest: Manifest) -> Any:
    """Keep the size of the output a part of the graph, where transformers makes it a number with ``int()``."""
    import types

    from torch.nn.functional import interpolate

    def forward(head: Any, hidden_states: Any, patch_height: Any, patch_width: Any) -> Any:
        features = head.conv1(hidden_states[head.head_in_index])
        size = (patch_height * head.patch_size, patch_width * head.patch_size)
        features = interpolate(features, size, mode='bilinear', align_corners=True)
        depth = head.activation2(head.conv3(head.activation1(head.conv2(features))))
        return (depth * head.max_depth).squeeze(dim=1)

    network.head.forward = types.MethodType(forward, network.head)
    return _plain(network, manifest)


def _zoedepth(network: Any, manifest: Manifest) -> Any:
    """Choose the head that the manifest's range fits, if the checkpoint has several."""
    import torch

    heads = network.config.bin_configurations
    if len(heads) > 1:
        wanted = min(range(len(heads)), key=lambda i: abs(heads[i]['max_depth'] - (manifest.range_m or (0, 10))[1]))

        class Always(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
            def forward(self, embedding: Any) -> Any:
                choice = torch.zeros(embedding.shape[0], len(heads))
                choice[:, wanted] = 1.0
                return choice

        network.metric_head.mlp_classifier = Always()
    return _plain(network, manifest)


_RECIPES: dict[str, Callable[[Any, Manifest], Any]] = {
    'depth_anything': _depth_anything,
    'dpt': _plain,
    'midas': _plain,
    'glpn': _plain,
    'zoedepth': _zoedepth,
    'depth_pro': _plain,
}


def _as_tuple(network: Any, names: list[str]) -> Any:
    import torch

    class AsTuple(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixel_values: Any) -> Any:
            found = self.network(pixel_values)
            return tuple(getattr(found, name) for name in names)

    return AsTuple().eval()


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
    found = OnnxRuntimeBackend(out, Options('cpu')).infer({manifest.inputs[0].name: tensor})
    return max(_relative(a, found[o.name]) for a, o in zip(expected, manifest.outputs, strict=True))


def _relative(expected: AnyArray, found: AnyArray) -> float:
    if expected.shape != found.shape:
        return float('inf')
    return float(np.abs(expected - found).max() / max(float(np.abs(expected).max()), 1e-6))


def _default_size(manifest: Manifest, dynamic: bool) -> Size:
    """Return the size that the manifest names, or for any size one that is not square."""
    rule = manifest.preprocess.resize
    if not dynamic and rule.width and rule.height:
        return rule.width, rule.height
    return plan(manifest.preprocess, (640, 480)).size


def _other_size(manifest: Manifest, size: Size) -> Size:
    step = manifest.preprocess.resize.multiple_of
    return size[0] + 2 * step, size[1] - step if size[1] > step else size[1] + step


def _write_manifest(manifest: Manifest, out: Path, size: Size, dynamic: bool) -> Path:
    """Describe this very file: its name, checksum, and the size it takes if it takes only one."""
    artifact = replace(manifest.artifact, onnx=out.name, sha256=sha256(out), dynamic=dynamic, opset=OPSET)
    rules = manifest.preprocess
    if not dynamic:
        rules = replace(rules, resize=replace(rules.resize, mode='stretch', width=size[0], height=size[1]))
    path = out.with_suffix('.yaml')
    content = _plain_data(asdict(replace(manifest, artifact=artifact, preprocess=rules)))
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110), encoding='utf-8')
    return path


def _plain_data(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_data(each) for key, each in value.items() if each is not None}
    return [_plain_data(each) for each in value] if isinstance(value, tuple | list) else value
