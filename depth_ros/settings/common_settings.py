"""The table of parameters that every depth node has."""

import re
from dataclasses import dataclass
from typing import TypeVar

from depth_ros.geometry import Band, Mount
from depth_ros.settings.parameter_table import Table, parameter

SettingsT = TypeVar('SettingsT', bound='Settings')
_LOWEST_M, _HIGHEST_M = -100.0, 100.0


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
    max_rate_hz: float = parameter(
        0.0, 'Most frames estimated per second; 0 = as many as come.', unit='Hz', minimum=0.0, maximum=1000.0
    )
    estimate_timeout_s: float = parameter(
        5.0, 'Report an error when one frame takes longer than this.', unit='s', minimum=0.1, maximum=3600.0
    )
    model: str = parameter(
        '',
        'A network: the id of a manifest (depth-ros models list), or the path of a manifest or ONNX file.',
        rebuilds=('network',),
    )
    device: str = parameter(
        'auto',
        'Where the network runs; auto = the best of cuda, openvino, cpu that is installed.',
        choices=('auto', 'tensorrt', 'cuda', 'openvino', 'cpu'),
        rebuilds=('network',),
    )
    allow_fallback: bool = parameter(
        False,
        'Run the network on the CPU when the device cannot be had, instead of refusing.',
        rebuilds=('network',),
    )
    threads: int = parameter(
        0,
        "Of the network on the CPU; 0 = one less than there are cores, for the executor's sake.",
        minimum=0,
        maximum=256,
        rebuilds=('network',),
    )
    memory_limit_mb: int = parameter(
        0,
        'Most memory of a GPU that the network takes; 0 = no limit.',
        unit='MB',
        minimum=0,
        maximum=1000000,
        rebuilds=('network',),
    )
    precision: str = parameter(
        'fp32',
        'Of the arithmetic of device: tensorrt. fp16 is faster; a stored picture is compared with full precision when '
        'the network is loaded. Elsewhere the file decides (depth-ros models export --fp16).',
        choices=('fp32', 'fp16'),
        rebuilds=('network',),
    )
    image_size: str = parameter(
        '',
        'Size WxH of the pictures for which a network that takes any size is prepared when it is loaded; empty = that '
        'of the first picture, with device: tensorrt 640x480. Pictures of other sizes are stretched to it.',
        rebuilds=('network',),
    )
    graph_optimization: str = parameter(
        'all',
        "Of ONNX Runtime; less, where a driver's fusion is wrong.",
        choices=('all', 'extended', 'basic', 'none'),
        rebuilds=('network',),
    )
    on_device_lost: str = parameter(
        'stay',
        'When the GPU is lost, which only a new process can repair: stay and report it, or exit with code 1 so that a '
        'respawning launch file starts anew.',
        choices=('stay', 'exit'),
    )
    commercial_only: bool = parameter(
        False,
        'Refuse models whose licence does not clearly allow commercial use.',
        read_only=True,
        rebuilds=('network',),
    )
    allow_simulator_model: bool = parameter(
        False,
        'Accept models that are marked as valid for a simulator only. On images of a real camera their depth is '
        'meaningless; /diagnostics warns for as long as such a model is used.',
        read_only=True,
        rebuilds=('network',),
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
        rebuilds=('matcher',),
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
        "An image file of the depth image's size; depth is removed where it is black (the robot's own body). It is "
        'read again when it changes.',
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
    cloud_range_max_m: float = parameter(
        0.0,
        'Farthest point of the cloud; 0 = range_max_m. Navigation needs only what is near.',
        unit='m',
        minimum=0.0,
        maximum=100000.0,
    )
    cloud_min_height_m: float = parameter(
        _LOWEST_M,
        'Lowest point of the cloud above the floor; needs camera_height_m.',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    cloud_max_height_m: float = parameter(
        _HIGHEST_M,
        'Highest point of the cloud above the floor; needs camera_height_m.',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    cloud_voxel_m: float = parameter(
        0.0, 'Side of the cubes of which each keeps one point; 0 = all points.', unit='m', minimum=0.0, maximum=10.0
    )
    nav_obstacle_min_m: float = parameter(
        0.1,
        'Height above the floor at which obstacles begin, for points_clear and scan; both need camera_height_m.',
        group='nav',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    nav_obstacle_max_m: float = parameter(
        2.0,
        'Height at which obstacles end: the robot fits below.',
        group='nav',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    nav_clear_range_m: float = parameter(
        3.5,
        "Longest clearing ray of points_clear; a little more than the costmap's raytrace_max_range.",
        group='nav',
        unit='m',
        minimum=0.1,
        maximum=1000.0,
    )
    nav_clear_spacing_m: float = parameter(
        0.05,
        "Distance of neighbouring rays of points_clear at their ends; at most the costmap's resolution, or cells "
        'between them are never cleared.',
        group='nav',
        unit='m',
        minimum=0.005,
        maximum=10.0,
    )
    nav_rate_hz: float = parameter(
        10.0, 'Most points_clear and scans per second; 0 = one for every depth image.', group='nav', unit='Hz',
        minimum=0.0, maximum=1000.0,
    )  # fmt: skip
    nav_scan_frame: str = parameter(
        '',
        'Frame of scan: level, at the place of the camera, x forward. Empty = the frame of the image without '
        '"_optical".',
        group='nav',
    )
    colormap: str = parameter(
        'turbo',
        'Colours of depth/color, near to far: red to blue (turbo), yellow to violet (viridis), white to black.',
        choices=('turbo', 'viridis', 'grayscale'),
    )

    @property
    def height_band(self) -> Band | None:
        """Heights of the cloud's points; None = all."""
        if self.cloud_min_height_m == _LOWEST_M and self.cloud_max_height_m == _HIGHEST_M:
            return None
        return Band(self.cloud_min_height_m, self.cloud_max_height_m)

    @property
    def mount(self) -> Mount:
        """Of the camera; its height is 0 where it is not known."""
        return Mount(self.camera_height_m, self.camera_pitch_rad)

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.range_min_m >= self.range_max_m:
            problems.append(
                f'range_min_m is {self.range_min_m:g} and range_max_m is {self.range_max_m:g}; '
                'expected range_min_m < range_max_m'
            )
        if not self.camera_height_m and self.height_band is not None:
            problems.append(
                'cloud_min_height_m or cloud_max_height_m is set and camera_height_m is 0; expected the height'
            )
        for name, low, high in (
            ('cloud_{}_height_m', self.cloud_min_height_m, self.cloud_max_height_m),
            ('nav.obstacle_{}_m', self.nav_obstacle_min_m, self.nav_obstacle_max_m),
        ):
            if low >= high:
                problems.append(f'{name.format("min")} is {low:g}; expected less than {name.format("max")}, {high:g}')
        if self.cloud_voxel_m and self.cloud_organized:
            problems.append('cloud_voxel_m is set and cloud_organized is true; expected one of them')
        if self.image_size and not re.fullmatch(r'[1-9]\d{1,4}x[1-9]\d{1,4}', self.image_size):
            problems.append(f"image_size is '{self.image_size}'; expected WxH such as 640x480, or nothing")
        return problems
