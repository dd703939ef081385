"""The schema of a model manifest: a YAML file that describes one exported network completely.

A manifest is untrusted: a safe loader reads it, every key and type is checked, and paths must stay in its folder.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import yaml

from depth_ros.errors import BadManifest
from depth_ros.networks.runtimes.runtime import Precision
from depth_ros.settings.schema import build

Kind = Literal[
    'metric_depth',
    'affine_inverse_depth',
    'affine_depth',
    'scale_invariant_depth',
    'canonical_depth',
    'canonical_inverse_depth',
    'sigmoid_disparity',
    'disparity',
    'point_map',
    'affine_point_map',
]
Need = Literal['fx', 'K', 'baseline', 'scale_shift', 'scale']
InputRole = Literal['image', 'left', 'right', 'pair', 'left_half', 'right_half', 'unit_rays', 'scalar']
OutputRole = Literal['raw', 'points', 'sky', 'confidence', 'valid_prob', 'fov_deg', 'scale', 'ignored']
Interpolation = Literal['linear', 'cubic', 'area', 'lanczos', 'area_down_cubic_up']
Mode = Literal[
    'none', 'floor', 'stretch', 'lower_bound', 'upper_bound', 'minimal', 'longest', 'width', 'letterbox',
    'pixel_budget',
]  # fmt: skip


@dataclass(frozen=True)
class License:
    """Licences of code and weights; a reading of licence files, not legal advice."""

    code: str
    weights: str
    commercial: bool | Literal['check']


@dataclass(frozen=True)
class Artifact:
    """The exported file or files, and their origin."""

    source: str
    """Origin of the file, as a text for users."""
    file: str | tuple[str, ...] | None = None
    """File name or names, beside the manifest or in the cache; None = no public export exists."""
    sha256: str | None = None
    """sha256 of the first file; None = unknown."""
    urls: tuple[str, ...] = ()
    """Addresses: https://… or hf://owner/repository/path; those of ``file`` in order, then of their weights. With
    ``#name`` at its end, the address is that of a tar archive, and the file is the member with this name."""
    size_mb: float | None = None
    """Size of the published files together, megabytes (10^6 bytes); None = unknown."""
    checkpoint: str | None = None
    """Hub id of the checkpoint that ``depth-ros models export`` exports."""
    dynamic: bool = False
    """Whether the graph accepts any size that the resize rule allows."""
    opset: int | None = None
    precision: Precision = 'fp32'
    """Precision of weights and arithmetic in the graph."""
    reference: str | None = None
    """A .npz file beside the model: the full-precision output for the self-check image (``self_check``)."""


@dataclass(frozen=True)
class InputTensor:
    """One input tensor."""

    name: str
    """Name of the input; ``*`` = the only input of the graph."""
    role: InputRole
    color: Literal['rgb', 'bgr', 'gray'] = 'rgb'
    layout: Literal['NCHW', 'NHWC'] = 'NCHW'
    dtype: Literal['float32', 'float16', 'uint8', 'int64'] = 'float32'
    value: float | None = None
    """Value of a scalar."""
    optional: bool = False
    """Whether some exports of this model have no such input."""


@dataclass(frozen=True)
class Resize:
    """Rule that gives the size to which an image is resized."""

    mode: Mode
    width: int | None = None
    height: int | None = None
    multiple_of: int = 1
    pixels: tuple[int, int] | None = None
    """Smallest and largest number of pixels for ``pixel_budget``."""
    interp: Interpolation = 'linear'
    align_corners: bool = False


@dataclass(frozen=True)
class Pad:
    """Rows and columns added after the resize."""

    mode: Literal['constant', 'replicate', 'reflect'] = 'constant'
    value: tuple[float, ...] = (0.0, 0.0, 0.0)
    anchor: Literal['centre', 'bottom_left', 'top_left'] = 'centre'
    """Position of the image: ``bottom_left`` pads at the top and at the right."""
    multiple_of: int = 1
    after_normalize: bool = False
    """Whether padding follows normalisation, so that ``value`` is in normalised units."""


@dataclass(frozen=True)
class Normalize:
    """``y = (x * scale - mean) / std`` per channel, x in 0 … 255."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    baked: bool = False
    """Whether the graph contains further normalisation; documentation only."""


@dataclass(frozen=True)
class Preprocess:
    """Steps from image to tensor: reflect, resize, pad, normalise."""

    resize: Resize
    normalize: Normalize
    pad: Pad | None = None
    reflect_before: float | None = None
    """Reflect ``int(sqrt(side / 2) * reflect_before)`` pixels on each side first (ZoeDepth: 3)."""


@dataclass(frozen=True)
class OutputTensor:
    """One output tensor."""

    name: str
    """Name of the output; ``*`` = the first output."""
    role: OutputRole
    layout: str = 'NHW'
    """Axes in order: N, H, W, and 1, 2 or 3 for the channels."""
    sky_if_ge: float | None = None
    valid_if_ge: float | None = None
    valid_if_gt: float | None = None
    optional: bool = False


@dataclass(frozen=True)
class Decode:
    """Meaning of the raw output."""

    kind: Kind
    canonical_focal: float | None = None
    min_depth: float | None = None
    max_depth: float | None = None
    scale: float | None = None
    shift: float | None = None
    min_inverse: float = 1e-4
    max_inverse: float = 1e4
    sign: Literal[1, -1] = 1
    gain: float = 1.0
    channel: int = 0
    max_disparity: float | None = None
    up_to_scale: bool = False


@dataclass(frozen=True)
class Bridge:
    """Computation between two graphs: the group-wise correlation of two outputs of the first."""

    left: str
    right: str
    output: str
    """Input of the second graph."""


@dataclass(frozen=True)
class RuntimeSupport:
    """Requirements of the graph on the runtime."""

    backends: tuple[str, ...] = ('onnxruntime',)
    """Names of the runtimes that can run the graph, in order of preference (``runtimes.registry``)."""
    plugins: tuple[str, ...] = ()
    """Plugin libraries that the graph needs."""


@dataclass(frozen=True)
class Manifest:
    """Description of one exported network."""

    schema: Literal[1]
    id: str
    family: str
    task: Literal['mono', 'stereo']
    license: License
    artifact: Artifact
    inputs: tuple[InputTensor, ...]
    preprocess: Preprocess
    outputs: tuple[OutputTensor, ...]
    decode: Decode
    needs: tuple[Need, ...] = ()
    runtime: RuntimeSupport = RuntimeSupport()
    range_m: tuple[float, float] | None = None
    bridge: Bridge | None = None
    """Computation between the graphs of a model of two files."""
    published: str = ''
    """Published accuracy and speed, with their source."""
    verified: str = ''
    """What was measured with the published weights and this package; empty = nothing."""
    caution: str = ''
    """Warning for users of this model."""
    simulator_only: bool = False
    """Whether the model is valid for images of a simulator only; nodes refuse it without ``allow_simulator_model``."""
    notes: str = ''

    @property
    def main_output(self) -> OutputTensor:
        """The output that contains the depth."""
        return next(output for output in self.outputs if output.role in ('raw', 'points'))

    @property
    def metric_by_itself(self) -> bool:
        """Whether the output is in metres without an external scale."""
        return not {'scale_shift', 'scale'} & set(self.needs)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the model's files in the order in which they run; empty if no export exists."""
        names = self.artifact.file
        return (names,) if isinstance(names, str) else names or ()

    @property
    def runnable(self) -> bool:
        """Whether the model can be run if its files are present."""
        return bool(self.files) and not self.runtime.plugins

    @property
    def commercial_use(self) -> str:
        """Whether commercial use is allowed: 'yes', 'no' or 'check'."""
        return 'check' if self.license.commercial == 'check' else 'yes' if self.license.commercial else 'no'


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        BadManifest: the file is not YAML, or a key is unknown, missing, of the wrong type, or contradicts another; the
            message names the file and the key, what was found and what is expected.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadManifest(f'{path} cannot be read as YAML: {error}') from error
    manifest: Manifest = build(Manifest, content, f'{path}')
    problems = _contradictions(manifest)
    if problems:
        raise BadManifest(f'{path}: ' + '; '.join(problems))
    return manifest


_ROLES: dict[str, set[str]] = {'mono': {'image'}, 'stereo': {'left', 'right', 'pair'}}
_REQUIRED_NEEDS: dict[str, set[str]] = {
    'disparity': {'fx', 'baseline'},
    'canonical_depth': {'fx'},
    'canonical_inverse_depth': {'fx'},
    'affine_depth': {'scale_shift'},
    'scale_invariant_depth': {'scale'},
    'affine_point_map': {'K'},
}


def _contradictions(manifest: Manifest) -> list[str]:
    """Return a message for each contradiction between keys."""
    decode, resize, roles = manifest.decode, manifest.preprocess.resize, {i.role for i in manifest.inputs}
    problems = []
    if (decode.kind == 'disparity') != (manifest.task == 'stereo'):
        problems.append(f"task '{manifest.task}' contradicts decode.kind '{decode.kind}'")
    if not roles & _ROLES[manifest.task]:
        problems.append(f"task '{manifest.task}' needs an input with role {' or '.join(sorted(_ROLES[manifest.task]))}")
    expected = 'points' if 'point_map' in decode.kind else 'raw'
    if sum(output.role == expected for output in manifest.outputs) != 1:
        problems.append(f"decode.kind '{decode.kind}' needs exactly one output with role '{expected}'")
    required = _REQUIRED_NEEDS.get(decode.kind, set())
    if decode.kind == 'affine_inverse_depth' and None in (decode.scale, decode.shift):
        required = {'scale_shift'}
    if decode.up_to_scale:
        required = {'scale'}
    if not required <= set(manifest.needs):
        problems.append(f"decode.kind '{decode.kind}' needs {', '.join(sorted(required))}; needs is {manifest.needs}")
    if decode.kind == 'canonical_depth' and not decode.canonical_focal:
        problems.append('decode.canonical_focal is missing')
    if decode.kind == 'sigmoid_disparity' and not (decode.min_depth and decode.max_depth):
        problems.append('decode.min_depth and decode.max_depth are missing')
    problems += _size_problems(resize)
    mean, std = manifest.preprocess.normalize.mean, manifest.preprocess.normalize.std
    if len(mean) != len(std) or len(mean) not in (1, 3) or 0 in std:
        problems.append('preprocess.normalize: mean and std must have one or three numbers each, std without 0')
    for name in (*manifest.files, *([manifest.artifact.reference] if manifest.artifact.reference else [])):
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts or '\\' in name:
            problems.append(f"artifact: '{name}' leaves the model's folder")
    wrong = [each for each in manifest.artifact.urls if not each.startswith(('https://', 'hf://'))]
    problems += [f"artifact.urls '{each}' is neither https:// nor hf://" for each in wrong]
    if manifest.files and len(manifest.files) != (1 if manifest.bridge is None else 2):
        problems.append(f'artifact.file names {len(manifest.files)} files; expected one, or two files with a bridge')
    if not all(c.isalnum() or c in '-_.' for c in manifest.id) or not manifest.id:
        problems.append(f"id '{manifest.id}' must consist of letters, digits, '-', '_' and '.'")
    return problems


def _size_problems(resize: Resize) -> list[str]:
    required = {
        'none': (), 'floor': (), 'longest': ('width',), 'width': ('width',), 'pixel_budget': ('pixels',)
    }.get(resize.mode, ('width', 'height'))  # fmt: skip
    missing = [name for name in required if not getattr(resize, name)]
    return [f"preprocess.resize.{name} is missing for mode '{resize.mode}'" for name in missing]
