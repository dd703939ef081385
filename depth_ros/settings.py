"""The tables of parameters of the nodes; the command line takes the ones that make sense for files."""

import re
from dataclasses import dataclass
from typing import Literal, TypeVar

from depth_ros.parameter_table import Table, parameter
from depth_ros.scale.pose import parse_pose

Quality = Literal['balanced', 'strict']
SettingsT = TypeVar('SettingsT', bound='Settings')


@dataclass(frozen=True)
class Settings(Table):
    """Parameters of every depth node."""

    autostart: bool = parameter(
        True, 'Configure and activate at start. Set false under a lifecycle manager.', read_only=True
    )
    image_transport: str = parameter('raw', 'How the images arrive.', choices=('raw', 'compressed'), read_only=True)
    rectify: bool = parameter(
        False, 'Rectify the images from their CameraInfo (K, D, R, P) first; for topics that carry raw images.'
    )
    max_age_s: float = parameter(
        0.0,
        'Drop frames older than this on arrival at the estimator; 0 = never.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    estimate_timeout_s: float = parameter(
        5.0, 'Report an error when one frame takes longer than this.', unit='s', minimum=0.1, maximum=3600.0
    )
    model: str = parameter(
        '', 'A network: the id of a manifest (depth-ros models list), or the path of a manifest or ONNX file.'
    )
    device: str = parameter(
        'auto',
        'Where the network runs; auto = the best of cuda, openvino, cpu that is installed.',
        choices=('auto', 'tensorrt', 'cuda', 'openvino', 'cpu'),
    )
    allow_fallback: bool = parameter(
        False, 'Run the network on the CPU when the device cannot be had, instead of refusing.'
    )
    threads: int = parameter(
        0,
        "Of the network on the CPU; 0 = one less than there are cores, for the executor's sake.",
        minimum=0,
        maximum=256,
    )
    memory_limit_mb: int = parameter(
        0, 'Most memory of a GPU that the network takes; 0 = no limit.', unit='MB', minimum=0, maximum=1000000
    )
    precision: str = parameter(
        'fp32',
        'Of the arithmetic of device: tensorrt. fp16 is faster; a stored picture is compared with full precision when '
        'the network is loaded. Elsewhere the file decides (depth-ros models export --fp16).',
        choices=('fp32', 'fp16'),
    )
    picture_size: str = parameter(
        '',
        'Size WxH of the pictures for which a network that takes any size is prepared when it is loaded; empty = that '
        'of the first picture, with device: tensorrt 640x480. Pictures of other sizes are stretched to it.',
    )
    graph_optimization: str = parameter(
        'all', "Of ONNX Runtime; less, where a driver's fusion is wrong.", choices=('all', 'extended', 'basic', 'none')
    )
    on_device_lost: str = parameter(
        'stay',
        'When the GPU is lost, which only a new process can repair: stay and report it, or exit with code 1 so that a '
        'respawning launch file starts anew.',
        choices=('stay', 'exit'),
    )
    commercial_only: bool = parameter(
        False, 'Refuse models whose licence does not clearly allow commercial use.', read_only=True
    )
    camera_height_m: float = parameter(
        0.0,
        'Of the camera above the floor, for scale.source: ground and for everything that has a height; 0 = not known.',
        unit='m',
        minimum=0.0,
        maximum=100.0,
    )
    camera_pitch_rad: float = parameter(
        0.0, 'How far the camera looks down from level.', unit='rad', minimum=-1.5, maximum=1.5
    )
    range_min_m: float = parameter(
        0.5,
        'Nearest distance wanted; sets how far the stereo matcher searches. Nearer pixels become -Inf.',
        unit='m',
        minimum=0.01,
        maximum=1000.0,
    )
    range_max_m: float = parameter(
        40.0,
        'Farthest distance that is trusted. Farther pixels become +Inf.',
        unit='m',
        minimum=0.02,
        maximum=100000.0,
    )
    filter_edges: bool = parameter(
        False, 'Forget the pixels between two surfaces, where an edge has been smeared.', group='filter'
    )
    filter_speckle_px: int = parameter(
        0, 'Forget islands of at most this many pixels; 0 = none.', group='filter', unit='px', minimum=0, maximum=100000
    )
    filter_min_confidence: float = parameter(
        0.0,
        'Forget pixels of less confidence, where the estimator gives one; 0 = none.',
        group='filter',
        minimum=0.0,
        maximum=1.0,
    )
    filter_mask_file: str = parameter(
        '',
        "A picture of the depth image's size; depth is forgotten where it is black (the robot's own body).",
        group='filter',
    )
    filter_fill_px: int = parameter(
        0,
        'Invent depth in holes at most this wide, from the pixels around; 0 = none. The only filter that invents.',
        group='filter',
        unit='px',
        minimum=0,
        maximum=64,
    )
    filter_temporal: bool = parameter(
        False,
        'Let pixels that change by less than a tenth follow slowly: less flicker, for a camera that moves slowly.',
        group='filter',
    )
    depth_encoding: str = parameter(
        '32FC1', 'depth/image_rect as metres (32FC1) or millimetres (16UC1, 0 = unknown).', choices=('32FC1', '16UC1')
    )
    cloud_fields: str = parameter('xyzrgb', 'Fields of a point.', choices=('xyz', 'xyzrgb'))
    cloud_organized: bool = parameter(False, 'Keep the image grid, NaN where unknown; false = only the known points.')
    cloud_stride: int = parameter(
        2, 'Take every n-th row and column of the depth image.', unit='px', minimum=1, maximum=64
    )
    cloud_rate_hz: float = parameter(
        10.0, 'Most clouds per second; 0 = one for every depth image.', unit='Hz', minimum=0.0, maximum=1000.0
    )
    colormap: str = parameter(
        'turbo',
        'Colours of depth/color, near to far: red to blue (turbo), yellow to violet (viridis), white to black.',
        choices=('turbo', 'viridis', 'grayscale'),
    )

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.range_min_m >= self.range_max_m:
            problems.append(
                f'range_min_m is {self.range_min_m:g} and range_max_m is {self.range_max_m:g}; '
                'expected range_min_m < range_max_m'
            )
        if self.picture_size and not re.fullmatch(r'[1-9]\d{1,4}x[1-9]\d{1,4}', self.picture_size):
            problems.append(f"picture_size is '{self.picture_size}'; expected WxH such as 640x480, or nothing")
        return problems


@dataclass(frozen=True)
class StereoSettings(Settings):
    """Parameters of ``stereo_depth``; ``depth-ros infer`` takes the ones that make sense for files."""

    max_skew_ms: float = parameter(
        5.0,
        'Largest difference of left and right stamps that still makes a pair; 0 = equal stamps only.',
        unit='ms',
        minimum=0.0,
        maximum=1000.0,
    )
    accept_zero_stamps: bool = parameter(
        False, 'Pair images without a stamp by order of arrival. Without it they are refused.'
    )
    quality: str = parameter(
        'balanced',
        'Of the matcher that works without a network. balanced: dense, occlusions beside known surfaces filled from '
        'the background. strict: fewer false points, more holes; for navigation.',
        choices=('balanced', 'strict'),
    )
    max_disparity: int = parameter(
        0,
        'Largest disparity searched, in pixels of the incoming image; 0 = from range_min_m.',
        unit='px',
        minimum=0,
        maximum=4096,
    )
    processing_scale: float = parameter(
        1.0,
        'Size at which the pair is matched and the depth published, relative to the incoming image.',
        minimum=0.1,
        maximum=1.0,
    )


@dataclass(frozen=True)
class MonoSettings(Settings):
    """Parameters of ``mono_depth``."""

    model: str = parameter(
        'sim-indoor',
        'The network: the id of a manifest (depth-ros models list), or the path of a manifest or ONNX file. The '
        'default needs no download and is good for the simulator only.',
    )
    filter_edges: bool = parameter(
        True, 'Forget the pixels between two surfaces, where an edge has been smeared.', group='filter'
    )
    scale_source: str = parameter(
        'none',
        'Where the scale comes from, for models that lack it, or the correction for those that have it. fixed: the two '
        'numbers below. reference: another sensor, on scale/reference. ground: the floor, seen from camera_height_m.',
        group='scale',
        choices=('none', 'fixed', 'reference', 'ground'),
        read_only=True,
    )
    scale_fixed_scale: float = parameter(
        1.0, "Factor of the model's output; of 1 / depth for inverse models.", group='scale', minimum=1e-9, maximum=1e9
    )
    scale_fixed_shift: float = parameter(
        0.0, 'Added after the factor, by models that need it.', group='scale', minimum=-1e9, maximum=1e9
    )
    scale_reference_type: str = parameter(
        'points',
        'What scale/reference is: PointCloud2, LaserScan, Range, or a depth Image with scale/camera_info.',
        group='scale',
        choices=('points', 'scan', 'range', 'depth'),
        read_only=True,
    )
    scale_extrinsics: str = parameter(
        '',
        'Pose of the reference sensor (or Imu) in the optical frame of the camera, as "x y z roll pitch yaw" in metres '
        'and radians; empty = from tf, or the same frame.',
        group='scale',
    )
    scale_imu: bool = parameter(
        False, 'Take the direction down from the topic imu instead of camera_pitch_rad.', group='scale', read_only=True
    )
    scale_max_skew_ms: float = parameter(
        100.0,
        'Largest difference of the stamps of a reference and of the image that it is compared with.',
        group='scale',
        unit='ms',
        minimum=0.0,
        maximum=10000.0,
    )
    scale_hold_s: float = parameter(
        2.0,
        'How long a scale is used after it was last confirmed; then there are no metres.',
        group='scale',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.scale_source == 'ground' and not self.camera_height_m:
            problems.append('scale.source is ground and camera_height_m is 0; expected the height of the camera')
        if self.scale_extrinsics:
            try:
                parse_pose(self.scale_extrinsics)
            except ValueError as error:
                problems.append(f"scale.extrinsics is '{self.scale_extrinsics}'; {error}")
        return problems
