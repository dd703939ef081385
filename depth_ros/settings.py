"""One declarative table of parameters: declaration, ranges, checks and the reference page all come from here."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from depth_ros.errors import BadSettings

Value = bool | int | float | str
Quality = Literal['balanced', 'strict']
SettingsT = TypeVar('SettingsT', bound='Settings')


@dataclass(frozen=True)
class Rule:
    """What a parameter may be, for people and for the checks."""

    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    """True: takes effect when the node is configured and cannot change while it runs."""


def _parameter(default: Value, description: str, **rule: Any) -> Any:
    return field(default=default, metadata={'rule': Rule(description, **rule)})


@dataclass(frozen=True)
class Settings:
    """Parameters of every depth node."""

    autostart: bool = _parameter(
        True, 'Configure and activate at start. Set false under a lifecycle manager.', read_only=True
    )
    image_transport: str = _parameter('raw', 'How the images arrive.', choices=('raw', 'compressed'), read_only=True)
    rectify: bool = _parameter(
        False, 'Rectify the images from their CameraInfo (K, D, R, P) first; for topics that carry raw images.'
    )
    max_age_s: float = _parameter(
        0.0,
        'Drop frames older than this on arrival at the estimator; 0 = never.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    estimate_timeout_s: float = _parameter(
        5.0, 'Report an error when one frame takes longer than this.', unit='s', minimum=0.1, maximum=3600.0
    )
    model: str = _parameter(
        '', 'A network: the id of a manifest (depth-ros models list), or the path of a manifest or ONNX file.'
    )
    device: str = _parameter(
        'auto',
        'Where the network runs; auto = the best of cuda, openvino, cpu that is installed.',
        choices=('auto', 'tensorrt', 'cuda', 'openvino', 'cpu'),
    )
    allow_fallback: bool = _parameter(
        False, 'Run the network on the CPU when the device cannot be had, instead of refusing.'
    )
    threads: int = _parameter(
        0,
        "Of the network on the CPU; 0 = one less than there are cores, for the executor's sake.",
        minimum=0,
        maximum=256,
    )
    memory_limit_mb: int = _parameter(
        0, 'Most memory of a GPU that the network takes; 0 = no limit.', unit='MB', minimum=0, maximum=1000000
    )
    precision: str = _parameter(
        'fp32',
        'Of the arithmetic of device: tensorrt. fp16 is faster; a stored picture is compared with full precision when '
        'the network is loaded. Elsewhere the file decides (depth-ros models export --fp16).',
        choices=('fp32', 'fp16'),
    )
    picture_size: str = _parameter(
        '',
        'Size WxH of the pictures for which a network that takes any size is prepared when it is loaded; empty = that '
        'of the first picture, with device: tensorrt 640x480. Pictures of other sizes are stretched to it.',
    )
    graph_optimization: str = _parameter(
        'all', "Of ONNX Runtime; less, where a driver's fusion is wrong.", choices=('all', 'extended', 'basic', 'none')
    )
    on_device_lost: str = _parameter(
        'stay',
        'When the GPU is lost, which only a new process can repair: stay and report it, or exit with code 1 so that a '
        'respawning launch file starts anew.',
        choices=('stay', 'exit'),
    )
    commercial_only: bool = _parameter(
        False, 'Refuse models whose licence does not clearly allow commercial use.', read_only=True
    )
    range_min_m: float = _parameter(
        0.5,
        'Nearest distance wanted; sets how far the stereo matcher searches. Nearer pixels become -Inf.',
        unit='m',
        minimum=0.01,
        maximum=1000.0,
    )
    range_max_m: float = _parameter(
        40.0,
        'Farthest distance that is trusted. Farther pixels become +Inf.',
        unit='m',
        minimum=0.02,
        maximum=100000.0,
    )
    depth_encoding: str = _parameter(
        '32FC1', 'depth/image_rect as metres (32FC1) or millimetres (16UC1, 0 = unknown).', choices=('32FC1', '16UC1')
    )
    cloud_fields: str = _parameter('xyzrgb', 'Fields of a point.', choices=('xyz', 'xyzrgb'))
    cloud_organized: bool = _parameter(False, 'Keep the image grid, NaN where unknown; false = only the known points.')
    cloud_stride: int = _parameter(
        2, 'Take every n-th row and column of the depth image.', unit='px', minimum=1, maximum=64
    )
    cloud_rate_hz: float = _parameter(
        10.0, 'Most clouds per second; 0 = one for every depth image.', unit='Hz', minimum=0.0, maximum=1000.0
    )
    colormap: str = _parameter(
        'turbo',
        'Colours of depth/color, near to far: red to blue (turbo), yellow to violet (viridis), white to black.',
        choices=('turbo', 'viridis', 'grayscale'),
    )

    def __post_init__(self) -> None:
        problems = [problem for name in rules(type(self)) if (problem := _problem(self, name))]
        if not problems and self.range_min_m >= self.range_max_m:
            problems.append(
                f'range_min_m is {self.range_min_m:g} and range_max_m is {self.range_max_m:g}; '
                'expected range_min_m < range_max_m'
            )
        if not problems and self.picture_size and not re.fullmatch(r'[1-9]\d{1,4}x[1-9]\d{1,4}', self.picture_size):
            problems.append(f"picture_size is '{self.picture_size}'; expected WxH such as 640x480, or nothing")
        if problems:
            raise BadSettings('; '.join(problems))

    def changed(self: SettingsT, values: Mapping[str, Any]) -> SettingsT:
        """Return a copy with some values replaced.

        Raises:
            BadSettings: a name is unknown, a value has the wrong type or range, or the result contradicts itself.
        """
        declared = defaults(type(self))
        for name in values:
            if name not in declared:
                raise BadSettings(unknown_parameter(type(self), name))
        return replace(self, **{name: _as_declared(declared[name], value) for name, value in values.items()})


@dataclass(frozen=True)
class StereoSettings(Settings):
    """Parameters of ``stereo_depth``; ``depth-ros infer`` takes the ones that make sense for files."""

    max_skew_ms: float = _parameter(
        5.0,
        'Largest difference of left and right stamps that still makes a pair; 0 = equal stamps only.',
        unit='ms',
        minimum=0.0,
        maximum=1000.0,
    )
    accept_zero_stamps: bool = _parameter(
        False, 'Pair images without a stamp by order of arrival. Without it they are refused.'
    )
    quality: str = _parameter(
        'balanced',
        'Of the matcher that works without a network. balanced: dense, occlusions beside known surfaces filled from '
        'the background. strict: fewer false points, more holes; for navigation.',
        choices=('balanced', 'strict'),
    )
    max_disparity: int = _parameter(
        0,
        'Largest disparity searched, in pixels of the incoming image; 0 = from range_min_m.',
        unit='px',
        minimum=0,
        maximum=4096,
    )
    processing_scale: float = _parameter(
        1.0,
        'Size at which the pair is matched and the depth published, relative to the incoming image.',
        minimum=0.1,
        maximum=1.0,
    )


@dataclass(frozen=True)
class MonoSettings(Settings):
    """Parameters of ``mono_depth``."""

    model: str = _parameter(
        'sim-indoor',
        'The network: the id of a manifest (depth-ros models list), or the path of a manifest or ONNX file. The '
        'default needs no download and is good for the simulator only.',
    )


def rules(kind: type[Settings]) -> Mapping[str, Rule]:
    """Return the rule of every parameter, by name."""
    return {f.name: f.metadata['rule'] for f in fields(kind)}


def defaults(kind: type[Settings]) -> Mapping[str, Value]:
    """Return the default of every parameter, by name."""
    return {f.name: f.default for f in fields(kind)}  # type: ignore[misc]


def unknown_parameter(kind: type[Settings], name: str) -> str:
    """Say that a parameter does not exist and which one was probably meant."""
    near = difflib.get_close_matches(name, rules(kind), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f'known: {", ".join(rules(kind))}'
    return f"unknown parameter '{name}'; {hint}"


def _as_declared(default: Value, value: Any) -> Any:
    """Let a whole number stand for a float (YAML ``range_max_m: 20``); leave everything else to the checks."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _problem(settings: Settings, name: str) -> str | None:
    value, rule = getattr(settings, name), rules(type(settings))[name]
    expected = type(defaults(type(settings))[name])
    if type(value) is not expected:
        return f'{name} is {value!r} of type {type(value).__name__}; expected {expected.__name__}'
    if rule.choices and value not in rule.choices:
        return f"{name} is '{value}'; expected one of {', '.join(rule.choices)}"
    return _out_of_range(name, rule, value)


def _out_of_range(name: str, rule: Rule, value: Any) -> str | None:
    low, high = rule.minimum, rule.maximum
    if low is None or high is None or low <= value <= high:
        return None  # NaN does not get here: no comparison with it is true
    return f'{name} is {value!r}; expected {low:g} to {high:g}' + (f' {rule.unit}' if rule.unit else '')
