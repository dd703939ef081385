"""Write the table of models from the manifests: ``python -m depth_ros.networks.models_page > docs/models.md``."""

from depth_ros.networks.catalog import shipped_models
from depth_ros.networks.manifest import Manifest

_HEADER = """# Models

This page is generated from `config/models/*.yaml` by
`python -m depth_ros.networks.models_page > docs/models.md`. The licences are a reading of licence files, not legal
advice; "check" means that the weights have no licence of their own. With `commercial_only: true`, only models with
"yes" are accepted.

A model is a manifest and the file of a network. Except for `sim-indoor`, no weights are part of this package.
`depth-ros models pull <id>` downloads the file if one is published at an address (listed below), and compares its
checksum if that is known; `depth-ros models pull <id> --from FILE` takes a file that is already on the machine. The
forms of the addresses were compared with public references, but only the checksum of `fastdepth-nyu` with the file
itself. `depth-ros models show <id>` prints where a file comes from and where to put it.
`depth-ros models check FILE --manifest <id>` checks that a file matches its manifest. Then run
`ros2 launch depth_ros mono.launch.py model:=<id>`, `stereo_depth` with `model: <id>`, or
`depth-ros infer --model <id> --image FILE --out DIR`.

"metric" models give metres if their needs are met: fx and K come from `camera_info`, the baseline from the
`camera_info` of the right camera, a measured depth from another sensor
([metres.md](metres.md#prompt-a-measured-depth-as-an-input-of-the-network)). Other models need a scale (and shift),
which `scale.source` determines ([metres.md](metres.md)); without it, their depth is published on `depth/relative` and
`depth/color` only.

## Runtimes

`runtime.backends` in the manifest names the runtime; each is an extra of `setup.py` with the same name.

| runtime | files | devices | a cancelled run ends |
|---|---|---|---|
| `onnxruntime` | `.onnx` | CPU, CUDA, TensorRT, OpenVINO | within a few milliseconds |
| `litert` | `.tflite` in float and int8, x86-64 and ARM | CPU | when it is complete |
| `torch` | TorchScript `.pt`, `torch.export` `.pt2` | CPU, CUDA | when it is complete |

* `litert`: int8 and uint8 inputs and outputs are float32 for the manifest; the scale and the zero point of the file
  convert them. If a convolution computes an 8-bit output, it is computed in float32 instead, so that the depth has no
  steps (7 cm with FastDepth); the other operators stay in 8 bit.
* `torch`: checkpoints, which hold weights without a graph, are rejected, because reading them can execute code.
  TorchScript states neither types nor shapes; they are checked when the network is run at load. Its outputs are called
  `output`, or `output_0`, `output_1` … if there are several. CUDA was not run with this runtime.

## INT8 with your own images

`depth-ros models quantize ID --images DIR` (or `--bag BAG`, which needs the extra `bags`) writes an INT8 version of
an ONNX model into the cache, as the model `ID-int8`; it needs the extra `quantize`. The frames (`--frames`, 100) are
spread evenly over the folder or recording. The last quarter is not used for calibration: on it, the command compares
depth and run time with the original. The difference is the mean of `|z_int8 - z| / z`; for models that need scale and
shift, that of `|v_int8 - v|` divided by the range of the values (5th to 95th percentile). A result whose difference
is above `--limit` (0.05) is not stored. Stereo models need `--bag`.

The weights have 7 bits, because 8 bits overflow on x86 CPUs without VNNI; the last convolution stays in floating
point. INT8 is not faster on every CPU. `sim-indoor`, on two cores with AVX2 and without VNNI, 45 + 15 images of the
simulator: the network alone takes 2.9 to 3.0 ms instead of 3.2 to 3.4 ms, with a mean difference of 0.5 %. Depth
Anything V2 small (518x518) with random weights on the same machine, 12 + 4 images: 2.1 s of processor time instead of
2.5 s, a file of 26 MB instead of 99 MB, and a mean difference of 22 % of the range, so that the result is not stored;
random weights say nothing about the difference with trained ones. No other model was quantised. `fastdepth-nyu` is
published in INT8.

## Run with published weights

"""

_NOT_RUN = """
No other model was run with its published weights. Every manifest is tested with a simulated network that writes the
output described by the manifest for a known scene; resize, padding, layout and decoder of the manifest recover the
scene. Input tensors and decoded results of the networks of other publishers are compared with values computed from
their published code, which `test/networks/golden/contracts.json` names for each model. The accuracy is that stated by
the publishers. A file that does not match its manifest is refused when it is loaded.

The output is interpolated linearly from the network's size to the image's, also where the authors use cubic
interpolation, which overshoots at the edges of objects. Sky is +Inf.
"""

_CONFIDENCE = """
## Confidence

These models publish `confidence` (0 to 1), which `filter.min_confidence` compares with its limit. The scales of two
models cannot be compared. Depth Anything 3 for one image and RAFT-Stereo have no confidence, according to their authors
(issues 103 of ByteDance-Seed/Depth-Anything-3, 59 of princeton-vl/RAFT-Stereo); the published ONNX file of Metric3D v2
has one for the surface normal only.
"""

_FIGURES = """
## Published accuracy and speed

These figures were not reproduced, except those of `sim-indoor`, which were measured with this package. Models without
figures that can be traced to a source are not listed.
"""


def page() -> str:
    """Return the page."""
    manifests = [manifest for manifest, _ in shipped_models()]
    verified = '\n'.join(f'| `{m.id}` | {m.verified} |' for m in manifests if m.verified)
    parts = [f'{_HEADER}| id | result |\n|---|---|\n{verified}\n{_NOT_RUN}']
    for task, title in (('mono', 'From one image (`mono_depth`)'), ('stereo', 'From a pair (`stereo_depth`)')):
        rows = '\n'.join(_row(m) for m in manifests if m.task == task)
        parts.append(
            f'\n## {title}\n\n| id | output | needs | input | runtime | size | licence of code / weights '
            f'| commercial use | source |\n|---|---|---|---|---|---|---|---|---|\n{rows}\n'
        )
    meanings = '\n'.join(f'| `{m.id}` | {m.confidence} |' for m in manifests if m.confidence)
    parts.append(f'{_CONFIDENCE}\n| id | meaning |\n|---|---|\n{meanings}\n')
    figures = '\n'.join(f'| `{m.id}` | {m.published} |' for m in manifests if m.published)
    parts.append(f'{_FIGURES}\n| id | accuracy and speed (source) |\n|---|---|\n{figures}\n')
    return ''.join(parts)


def _row(manifest: Manifest) -> str:
    needs = [*manifest.needs, *(['a measured depth'] if manifest.prompt_size else [])]
    output = manifest.decode.kind.replace('_', ' ')
    if manifest.metric_by_itself:
        output = f'**metric** ({output})'
    if manifest.simulator_only:
        output += ', for images of the simulator only'
    unsupported = '' if manifest.runnable else ' **not supported yet**'
    download = f'`depth-ros models pull {manifest.id}`, or ' if manifest.artifact.urls else ''
    size_mb = '-' if manifest.artifact.size_mb is None else f'{manifest.artifact.size_mb:g} MB'
    licence = f'{manifest.license.code} / {manifest.license.weights}'
    return (
        f'| `{manifest.id}` | {output} | {", ".join(needs) or "-"} | {_size(manifest)} '
        f'| {manifest.runtime.backends[0]} | {size_mb} | {licence} '
        f'| {manifest.commercial_use} | {download}{manifest.artifact.source}{unsupported} |'
    )


def _size(manifest: Manifest) -> str:
    rule = manifest.preprocess.resize
    size = 'any' if rule.mode in ('none', 'floor') else f'{rule.width or "…"}x{rule.height or "…"}'
    return size if rule.mode in ('none', 'floor', 'stretch') else f'{size}, {rule.mode.replace("_", " ")}'


if __name__ == '__main__':
    print(page(), end='')
