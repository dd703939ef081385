"""The schema of a model manifest: a YAML file that describes one exported network completely."""

from dataclasses import dataclass
from typing import Literal

from depth_ros.networks.runtimes.runtime import Precision

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
InputRole = Literal['image', 'left', 'right', 'pair', 'left_half', 'right_half', 'unit_rays', 'scalar', 'prompt_depth']
"""``prompt_depth`` is a low-resolution depth of the whole image in metres, measured by another sensor."""
OutputRole = Literal[
    'raw', 'points', 'sky', 'confidence', 'error_factor', 'valid_prob', 'fov_deg', 'focal_px', 'scale', 'ignored'
]  # fmt: skip
"""``confidence`` is 0 … 1; ``error_factor``, at least 1, is the factor by which the network expects to be wrong;
``focal_px`` is the focal length that the network assumed, in pixels of its input."""
Interpolation = Literal[
    'linear', 'cubic', 'area', 'area_down_cubic_up', 'linear_antialiased', 'lanczos_antialiased'
]  # fmt: skip
Rounding = Literal['ties_even', 'ties_up', 'ties_down', 'down']
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
    size: tuple[int, int] | None = None
    """Width and height of ``prompt_depth``; the other inputs follow from ``preprocess``."""


@dataclass(frozen=True)
class Resize:
    """Rule that gives the size to which an image is resized."""

    mode: Mode
    width: int | None = None
    height: int | None = None
    multiple_of: int = 1
    pixels: tuple[int, int] | None = None
    """Smallest and largest number of pixels for ``pixel_budget``."""
    rounding: Rounding = 'ties_even'
    """Rounding of a side to a multiple: to the nearest, with the rule for ties, or down. ``pixel_budget`` rounds up."""
    interp: Interpolation = 'linear'
    """OpenCV's interpolation; ``…_antialiased`` is that of Pillow and of torch with ``antialias``."""
    align_corners: bool = False
    """Whether the centres of the outer pixels are aligned, as torch does with ``align_corners``."""


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
    outputs_align_corners: bool = False
    """Whether the outputs are resized to the image with the centres of the outer pixels aligned."""


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
    also: tuple[str, ...] = ()
    """Other names of this output, in other exports of the same model."""


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
    min_disparity: float | None = None
    """Smaller disparities are set to this value, pixels of the network's input."""
    max_disparity: float | None = None
    """Larger disparities are unknown, pixels of the network's input."""
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
    confidence: str = ''
    """Meaning of the published confidence, for users; empty = the model gives none."""
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
    def prompt_size(self) -> tuple[int, int] | None:
        """Width and height of the prompt depth; None if the network needs none."""
        return next((each.size for each in self.inputs if each.role == 'prompt_depth'), None)

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
        allowed = self.license.commercial
        return 'check' if allowed == 'check' else 'yes' if allowed else 'no'
