"""Networks with random weights for ``depth-ros bench gpu``, and the same networks in torch.

The run time does not depend on the values of the weights.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import ModelLoadError
from depth_ros.evaluation.runtime_benchmark import BenchmarkedFile, Measured, RunFigures, measure, with_times
from depth_ros.export import recipes
from depth_ros.export.export_model import OPSET, export
from depth_ros.files.install_command import install_command
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.runtimes.runtime import DEFAULT_OPTIONS
from depth_ros.types import AnyArray

_MONO, _STEREO = 'depth-anything-v2-small', 'stereo-network'
_CHANNELS = (32, 64, 96)
_DISPARITIES = 24
"""Disparities that the stereo network compares, in pixels of its features, which have an eighth of the resolution."""
_MANIFEST = """schema: 1
id: {name}
family: benchmark
task: stereo
license: {{code: Apache-2.0, weights: random, commercial: true}}
artifact: {{source: depth-ros bench gpu, file: {name}.onnx}}
inputs: [{{name: left, role: left}}, {{name: right, role: right}}]
preprocess:
  resize: {{mode: stretch, width: {width}, height: {height}}}
  normalize: {{scale: 0.00392156862745098, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}}
outputs: [{{name: disparity, role: raw, layout: N1HW}}]
decode: {{kind: disparity, max_disparity: {max_disparity}}}
needs: [fx, baseline]
"""


def require_libraries() -> None:
    """Raise ModelLoadError with the install command if a library is missing."""
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelLoadError(
            f'the networks of this benchmark are made with torch, transformers and onnx ({error}): '
            f'{install_command("export")}; or measure files of your own with --model'
        ) from error


def mono_network(folder: Path, half: bool) -> tuple[list[BenchmarkedFile], Any]:
    """Write Depth Anything v2 small for 518x518 with random weights; return the files and the torch module.

    Args:
        folder: Folder for the checkpoint and the files.
        half: Whether to write a file in half precision too.
    """
    import torch
    import transformers

    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14,
        out_indices=[3, 6, 9, 12], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=384, neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64, head_hidden_size=32,
    )  # fmt: skip
    checkpoint = str(folder / 'checkpoint')
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(checkpoint)
    manifest, _ = find_manifest(_MONO)
    name, files = f'{_MONO} 518x518', []
    for precision in ('fp32', 'fp16') if half else ('fp32',):
        path = folder / f'{_MONO}-{precision}.onnx'
        result = export(manifest, checkpoint, path, (518, 518), half=precision == 'fp16')
        files.append(BenchmarkedFile(name, find_manifest(str(result.manifest))[0], path, precision))
    module = recipes.network(manifest, checkpoint)
    return [*files, _torchscript(files[0], module)], module


def stereo_network(folder: Path, size: tuple[int, int] = (960, 576)) -> tuple[list[BenchmarkedFile], Any]:
    """Write a stereo network with random weights; return the files and the torch module.

    It has the parts of the fast published ones: features at an eighth of the resolution, a volume of correlations, 2D
    convolutions on it, soft argmin and upsampling.

    Args:
        folder: Folder for the files and the manifest.
        size: Width and height of its input, multiples of 8.
    """
    import torch

    torch.manual_seed(0)
    module = _stereo_module()
    width, height = size
    path = folder / f'{_STEREO}.onnx'
    text = _MANIFEST.format(name=_STEREO, width=width, height=height, max_disparity=8 * _DISPARITIES)
    path.with_suffix('.yaml').write_text(text, encoding='utf-8')
    example = torch.zeros(1, 3, height, width)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of tracing
        torch.onnx.export(
            module, (example, example), str(path), input_names=['left', 'right'], output_names=['disparity'],
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    manifest, _ = find_manifest(str(path.with_suffix('.yaml')))
    file = BenchmarkedFile(f'{_STEREO} {width}x{height}', manifest, path, image=size)
    return [file, _torchscript(file, module)], module


def _torchscript(file: BenchmarkedFile, module: Any) -> BenchmarkedFile:
    """Write a network as TorchScript, for the runtime torch."""
    import torch

    path = file.path.with_suffix('.pt')
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # of tracing; TorchScript is deprecated
        script = torch.jit.trace(module, tuple(map(torch.from_numpy, _noise(file.manifest))), check_trace=False)
        script.save(str(path))
    names = [argument.name for argument in script.forward.schema.arguments[1:]]
    manifest = replace(
        file.manifest,
        runtime=replace(file.manifest.runtime, backends=('torch',)),
        inputs=tuple(replace(each, name=name) for each, name in zip(file.manifest.inputs, names, strict=True)),
        outputs=(replace(file.manifest.main_output, name='output'),),
    )
    return replace(file, path=path, manifest=manifest)


def _noise(manifest: Manifest) -> list[AnyArray]:
    """Return an array for each input of a network with a fixed size."""
    resize = manifest.preprocess.resize
    shape = (1, 3, resize.height or 0, resize.width or 0)
    return [np.random.default_rng(i).normal(size=shape).astype(np.float32) for i, _ in enumerate(manifest.inputs)]


def torch_figures(file: BenchmarkedFile, module: Any, device_id: int, repeat: int) -> Iterator[RunFigures]:
    """Measure the network in torch, eager, compiled and in half precision, on the CPU and on CUDA if available."""
    import torch

    torch.set_num_threads(DEFAULT_OPTIONS.cpu_threads)  # as many as the runtimes use
    arrays = _noise(file.manifest)
    for device in (*([f'cuda:{device_id}'] if torch.cuda.is_available() else []), 'cpu'):
        base = RunFigures(file.network, 'fp32', device, '')
        ways = {
            'torch eager': (module, torch.float32),
            'torch.compile': (torch.compile(module), torch.float32),
            'torch eager, fp16': (module, torch.float16),
        }
        for way, (function, kind) in ways.items():
            row = replace(base, way=way, file='fp16' if kind == torch.float16 else 'fp32')
            if kind == torch.float16 and device == 'cpu':
                continue  # torch converts most operators to full precision there
            try:
                module.to(device, kind)
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    times = measure({way: _torch_run(function, arrays, device, kind)}, repeat)
                yield with_times(row, times[way])
            except Exception as error:  # torch.compile has many
                yield replace(row, problem=' '.join(str(error).split())[:300])
    module.to('cpu', torch.float32)


def _torch_run(function: Any, arrays: list[AnyArray], device: str, kind: Any) -> Measured:
    import torch

    def run() -> AnyArray:
        with torch.inference_mode():
            found = function(*(torch.from_numpy(array).to(device, kind) for array in arrays))
            first = found[0] if isinstance(found, tuple) else found
            return np.asarray(first.float().cpu())

    return run


def _stereo_module() -> Any:
    import torch
    from torch.nn.functional import interpolate, pad

    class StereoPyramid(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            sides = (3, *_CHANNELS)
            layers: list[Any] = []
            for a, b in pairwise(sides):
                layers += [torch.nn.Conv2d(a, b, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(b, b, 3, 1, 1)]
            self.features = torch.nn.Sequential(*layers)
            # not created in forward, where tracing would record its device
            self.register_buffer('steps', torch.arange(_DISPARITIES, dtype=torch.float32).view(1, -1, 1, 1))
            last = _CHANNELS[-1]
            self.aggregate = torch.nn.Sequential(
                torch.nn.Conv2d(_DISPARITIES + last, last, 3, 1, 1), torch.nn.ReLU(),
                torch.nn.Conv2d(last, last, 3, 1, 1), torch.nn.ReLU(),
                torch.nn.Conv2d(last, _DISPARITIES, 3, 1, 1),
            )  # fmt: skip

        def forward(self, left: Any, right: Any) -> Any:
            a, b = self.features(left), self.features(right)
            width = a.shape[-1]
            shifted = [pad(b, (d, 0, 0, 0))[..., :width] for d in range(_DISPARITIES)]
            volume = torch.stack([(a * each).mean(1) for each in shifted], 1)
            weights = torch.softmax(self.aggregate(torch.cat([volume, a], 1)), 1)
            disparity = (weights * self.steps).sum(1, keepdim=True)
            return 8 * interpolate(disparity, scale_factor=8.0, mode='bilinear', align_corners=False)

    return StereoPyramid().eval()
