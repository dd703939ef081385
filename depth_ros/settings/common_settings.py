"""Parameters that all depth nodes have."""

import re
from dataclasses import dataclass
from typing import TypeVar

from depth_ros.geometry import Band, Mount
from depth_ros.settings.parameter_table import Table, parameter

SettingsT = TypeVar('SettingsT', bound='Settings')
_LOWEST_M, _HIGHEST_M = -100.0, 100.0


@dataclass(frozen=True)
class Settings(Table):
    """Parameters of all depth nodes."""

    autostart: bool = parameter(
        True, 'Configure and activate the node at start. Set to false if a lifecycle manager does this.', read_only=True
    )
    image_transport: str = parameter(
        'raw',
        'Transport of the input images; compressed subscribes to <topic>/compressed.',
        choices=('raw', 'compressed'),
        read_only=True,
    )
    rectify: bool = parameter(
        False, 'Rectify the images with their CameraInfo (K, D, R, P); for unrectified image topics.'
    )
    max_age_s: float = parameter(
        0.0,
        'Maximum age of an image at the start of processing; older images are dropped. 0 = no limit.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    max_rate_hz: float = parameter(
        0.0, 'Maximum number of images processed per second; 0 = no limit.', unit='Hz', minimum=0.0, maximum=1000.0
    )
    estimate_timeout_s: float = parameter(
        5.0,
        'Report an error on /diagnostics if one image takes longer than this.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
    )
    model: str = parameter(
        '',
        'Network: id of a model (depth-ros models list), or path of a manifest or model file. Without a network, '
        'stereo_depth uses semi-global matching.',
        rebuilds=('network',),
    )
    device: str = parameter(
        'auto',
        'Device on which the network runs; auto = the best installed one of cuda, openvino and cpu.',
        choices=('auto', 'tensorrt', 'cuda', 'openvino', 'cpu'),
        rebuilds=('network',),
    )
    device_id: int = parameter(
        0,
        'Number of the CUDA device on which the network runs; with device: openvino, 0 = its default device and n > 0 '
        '= its device GPU.n. It has no effect on the CPU.',
        minimum=0,
        maximum=255,
        rebuilds=('network',),
    )
    allow_fallback: bool = parameter(
        False,
        'Run the network on the CPU if the device is unavailable; false = report an error.',
        rebuilds=('network',),
    )
    threads: int = parameter(
        0,
        'CPU threads used for inference; 0 = number of cores - 1.',
        minimum=0,
        maximum=256,
        rebuilds=('network',),
    )
    memory_limit_mb: int = parameter(
        0,
        'Maximum GPU memory used by the network; 0 = no limit.',
        unit='MB',
        minimum=0,
        maximum=1000000,
        rebuilds=('network',),
    )
    precision: str = parameter(
        'fp32',
        'Precision of inference with device: tensorrt. fp16 is faster; its result for a stored image is compared '
        'with fp32 when the network is loaded. With other devices the model file sets the precision (depth-ros '
        'models export --fp16).',
        choices=('fp32', 'fp16'),
        rebuilds=('network',),
    )
    image_size: str = parameter(
        '',
        'Input size WxH of a network that accepts any size, prepared when the network is loaded; images of other '
        'sizes are resized to it. Empty = size of the first image, or 640x480 with device: tensorrt.',
        rebuilds=('network',),
    )
    graph_optimization: str = parameter(
        'all',
        'Graph optimization level of ONNX Runtime; use a lower level if a fused operator gives wrong results.',
        choices=('all', 'extended', 'basic', 'none'),
        rebuilds=('network',),
    )
    on_device_lost: str = parameter(
        'stay',
        'Action when the GPU is lost, which only a new process can use again. stay: report the error and continue. '
        'exit: exit with code 1, so that a launch file with respawn restarts the node.',
        choices=('stay', 'exit'),
    )
    commercial_only: bool = parameter(
        False,
        'Reject models whose licence does not clearly permit commercial use.',
        read_only=True,
        rebuilds=('network',),
    )
    allow_simulator_model: bool = parameter(
        False,
        'Accept models that are valid for simulated images only. On images of a real camera their depth is '
        'meaningless; /diagnostics shows a warning while such a model is in use.',
        read_only=True,
        rebuilds=('network',),
    )
    camera_height_m: float = parameter(
        0.0,
        'Height of the camera above the floor; required by scale.source: ground, points_clear, scan and the height '
        'limits of the cloud. 0 = unknown.',
        unit='m',
        minimum=0.0,
        maximum=100.0,
    )
    camera_pitch_rad: float = parameter(
        0.0, 'Pitch of the camera; 0 = level, positive = downwards.', unit='rad', minimum=-1.5, maximum=1.5
    )
    range_min_m: float = parameter(
        0.5,
        'Minimum distance; nearer pixels become -Inf. It also sets the disparity range of the stereo matcher.',
        unit='m',
        minimum=0.01,
        maximum=1000.0,
        rebuilds=('matcher',),
    )
    range_max_m: float = parameter(
        40.0,
        'Maximum distance; farther pixels become +Inf.',
        unit='m',
        minimum=0.02,
        maximum=100000.0,
    )
    filter_edges: bool = parameter(
        False,
        'Remove flying pixels, whose depth lies between foreground and background at the edge of an object.',
        group='filter',
    )
    filter_speckle_px: int = parameter(
        0, 'Remove speckles of at most this many pixels; 0 = off.', group='filter', unit='px', minimum=0, maximum=100000
    )
    filter_min_confidence: float = parameter(
        0.0,
        'Remove pixels with a lower confidence, if the estimator provides confidence; 0 = off.',
        group='filter',
        minimum=0.0,
        maximum=1.0,
    )
    filter_mask_file: str = parameter(
        '',
        'Path of a mask image with the size of the depth image; depth is removed where the mask is black, for '
        'example on the body of the robot. The file is read again when it changes. Empty = no mask.',
        group='filter',
    )
    filter_fill_px: int = parameter(
        0,
        'Fill holes up to this width with the mean depth of the surrounding pixels; 0 = off. No other filter adds '
        'depth.',
        group='filter',
        unit='px',
        minimum=0,
        maximum=64,
    )
    filter_temporal: bool = parameter(
        False,
        'Smooth the depth of each pixel over time while it changes by less than 10 %; reduces flicker if the camera '
        'moves slowly.',
        group='filter',
    )
    depth_encoding: str = parameter(
        '32FC1',
        'Encoding of depth/image_rect: 32FC1 = metres, 16UC1 = millimetres (0 = unknown).',
        choices=('32FC1', '16UC1'),
    )
    cloud_fields: str = parameter('xyzrgb', 'Fields of the points in the cloud.', choices=('xyz', 'xyzrgb'))
    cloud_organized: bool = parameter(
        False, 'Publish an organized cloud, with NaN for unknown points; false = valid points only.'
    )
    cloud_stride: int = parameter(
        2, 'Use every n-th row and column of the depth image.', unit='px', minimum=1, maximum=64
    )
    cloud_rate_hz: float = parameter(
        10.0,
        'Maximum number of clouds per second; 0 = one for each depth image.',
        unit='Hz',
        minimum=0.0,
        maximum=1000.0,
    )
    cloud_range_max_m: float = parameter(
        0.0,
        'Maximum distance of the points in the cloud; 0 = range_max_m.',
        unit='m',
        minimum=0.0,
        maximum=100000.0,
    )
    cloud_min_height_m: float = parameter(
        _LOWEST_M,
        'Minimum height above the floor of the points in the cloud; requires camera_height_m.',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    cloud_max_height_m: float = parameter(
        _HIGHEST_M,
        'Maximum height above the floor of the points in the cloud; requires camera_height_m.',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    cloud_voxel_m: float = parameter(
        0.0, 'Voxel size; the cloud keeps one point in each voxel. 0 = all points.', unit='m', minimum=0.0, maximum=10.0
    )
    nav_obstacle_min_m: float = parameter(
        0.1,
        'Minimum height of an obstacle above the floor, for points_clear and scan. Both topics require '
        'camera_height_m.',
        group='nav',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    nav_obstacle_max_m: float = parameter(
        2.0,
        'Maximum height of an obstacle above the floor; at least the height of the robot.',
        group='nav',
        unit='m',
        minimum=-100.0,
        maximum=100.0,
    )
    nav_clear_range_m: float = parameter(
        3.5,
        "Maximum length of the clearing rays in points_clear; slightly more than the costmap's raytrace_max_range.",
        group='nav',
        unit='m',
        minimum=0.1,
        maximum=1000.0,
    )
    nav_clear_spacing_m: float = parameter(
        0.05,
        "Distance between the ends of neighbouring clearing rays in points_clear; at most the costmap's resolution, "
        'otherwise cells between the rays are never cleared.',
        group='nav',
        unit='m',
        minimum=0.005,
        maximum=10.0,
    )
    nav_rate_hz: float = parameter(
        10.0, 'Maximum rate of points_clear and scan; 0 = one message for each depth image.', group='nav', unit='Hz',
        minimum=0.0, maximum=1000.0,
    )  # fmt: skip
    nav_scan_frame: str = parameter(
        '',
        'Frame of scan: at the position of the camera, level, x forward. Empty = frame of the image without '
        '"_optical".',
        group='nav',
    )
    colormap: str = parameter(
        'turbo',
        'Colour map of depth/color, from near to far: turbo = red to blue, viridis = yellow to violet, grayscale = '
        'white to black.',
        choices=('turbo', 'viridis', 'grayscale'),
    )

    @property
    def height_band(self) -> Band | None:
        """Height limits of the cloud above the floor; None = no limits."""
        if self.cloud_min_height_m == _LOWEST_M and self.cloud_max_height_m == _HIGHEST_M:
            return None
        return Band(self.cloud_min_height_m, self.cloud_max_height_m)

    @property
    def mount(self) -> Mount:
        """Height and pitch of the camera; a height of 0 = unknown."""
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
                'cloud_min_height_m or cloud_max_height_m is set and camera_height_m is 0; expected the height of the '
                'camera above the floor'
            )
        for name, low, high in (
            ('cloud_{}_height_m', self.cloud_min_height_m, self.cloud_max_height_m),
            ('nav.obstacle_{}_m', self.nav_obstacle_min_m, self.nav_obstacle_max_m),
        ):
            if low >= high:
                problems.append(f'{name.format("min")} is {low:g}; expected less than {name.format("max")} ({high:g})')
        if self.cloud_voxel_m and self.cloud_organized:
            problems.append('cloud_voxel_m is set and cloud_organized is true; expected only one of them')
        if self.image_size and not re.fullmatch(r'[1-9]\d{1,4}x[1-9]\d{1,4}', self.image_size):
            problems.append(f"image_size is '{self.image_size}'; expected WxH such as 640x480, or an empty text")
        return problems
