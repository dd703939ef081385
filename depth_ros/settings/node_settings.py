"""The tables of parameters of the nodes; the command line takes the ones that make sense for files."""

from dataclasses import dataclass
from typing import Literal

from depth_ros.geometry import parse_pose
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.parameter_table import parameter

Quality = Literal['balanced', 'strict']


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
        rebuilds=('matcher',),
    )
    max_disparity: int = parameter(
        0,
        'Largest disparity searched, in pixels of the incoming image; 0 = from range_min_m.',
        unit='px',
        minimum=0,
        maximum=4096,
        rebuilds=('matcher',),
    )
    processing_scale: float = parameter(
        1.0,
        'Size at which the pair is matched and the depth published, relative to the incoming image.',
        minimum=0.1,
        maximum=1.0,
        rebuilds=('matcher', 'network'),
    )


@dataclass(frozen=True)
class MonoSettings(Settings):
    """Parameters of ``mono_depth``."""

    model: str = parameter(
        '',
        'The network, required: the id of a manifest (depth-ros models list), or the path of a manifest or ONNX file.',
        rebuilds=('network',),
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
