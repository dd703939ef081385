"""Parameters that all depth nodes have."""

from dataclasses import dataclass
from typing import TypeVar

from depth_ros.geometry import Band, Mount
from depth_ros.settings.network_settings import NetworkSettings
from depth_ros.settings.parameter_table import parameter

SettingsT = TypeVar('SettingsT', bound='Settings')
_LOWEST_M, _HIGHEST_M = -100.0, 100.0


@dataclass(frozen=True)
class Settings(NetworkSettings):
    """Parameters of all depth nodes."""

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
        return problems
