"""Parameters of the nodes. Most of them are also options of the command line."""

from dataclasses import dataclass
from typing import Literal, get_args

from depth_ros.geometry import parse_pose
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.parameter_table import parameter

Quality = Literal['fast', 'balanced', 'strict']


@dataclass(frozen=True)
class StereoSettings(Settings):
    """Parameters of ``stereo_depth``."""

    max_skew_ms: float = parameter(
        5.0,
        'Maximum difference between the stamps of the left and right image of a pair; 0 = equal stamps only.',
        unit='ms',
        minimum=0.0,
        maximum=1000.0,
    )
    accept_zero_stamps: bool = parameter(False, 'Pair images with stamp 0 in order of arrival; false = drop them.')
    align_rows: bool = parameter(
        False,
        'Correct the right image by the measured shift of its rows against those of the left image, for a rig that has '
        'bent since its calibration. The shift is measured and reported in /diagnostics in any case.',
    )
    quality: str = parameter(
        'balanced',
        'Mode of the matcher that is used without a network. fast: matched at half size, in less time than OpenCV '
        'needs. balanced: dense, with occlusions next to valid surfaces filled from the background. strict: fewer '
        'false points and more holes; for navigation.',
        choices=get_args(Quality),
        rebuilds=('matcher',),
    )
    max_disparity: int = parameter(
        0,
        'Maximum disparity that is searched, in pixels of the input image; 0 = from range_min_m.',
        unit='px',
        minimum=0,
        maximum=4096,
        rebuilds=('matcher',),
    )
    processing_scale: float = parameter(
        1.0,
        'Size of the processed pair and of the published depth image, relative to the input images.',
        minimum=0.1,
        maximum=1.0,
        rebuilds=('matcher', 'network'),
    )


@dataclass(frozen=True)
class MonoSettings(Settings):
    """Parameters of ``mono_depth``."""

    model: str = parameter(
        '',
        'Network (required): id of a model (depth-ros models list), or path of a manifest or model file.',
        rebuilds=('network',),
    )
    filter_edges: bool = parameter(
        True,
        'Remove flying pixels, whose depth lies between foreground and background at the edge of an object.',
        group='filter',
    )
    relative_scaling: str = parameter(
        'robust',
        'Values of depth/relative. robust: inverse depth from 0 (far) to 1 (near), between the 2nd and the 98th '
        'percentile, smoothed over time. minmax: between the minimum and the maximum of each frame. none: the output '
        'of the network, in its own direction.',
        choices=('robust', 'minmax', 'none'),
    )
    scale_source: str = parameter(
        'none',
        'Source of the metric scale for relative models, or of a correction for metric models. fixed: '
        'scale.fixed_scale and scale.fixed_shift. reference: another sensor on the topic scale/reference; networks '
        'that take a measured depth get it from there. ground: the floor, with camera_height_m. motion: plane sweep '
        'while the camera moves, with the poses of the topic odom (nav_msgs/Odometry).',
        group='scale',
        choices=('none', 'fixed', 'reference', 'ground', 'motion'),
        read_only=True,
    )
    scale_fixed_scale: float = parameter(
        1.0,
        'Factor a in depth = a * output + b; for inverse models, 1 / depth = a * output + b. Used with scale.source: '
        'fixed.',
        group='scale',
        minimum=1e-9,
        maximum=1e9,
    )
    scale_fixed_shift: float = parameter(
        0.0,
        'Shift b in the same formula; ignored for models that need a factor only.',
        group='scale',
        minimum=-1e9,
        maximum=1e9,
    )
    scale_reference_type: str = parameter(
        'points',
        'Messages on scale/reference. points: PointCloud2. scan: LaserScan. range: Range. depth: depth Image, with '
        'CameraInfo on scale/camera_info.',
        group='scale',
        choices=('points', 'scan', 'range', 'depth'),
        read_only=True,
    )
    scale_extrinsics: str = parameter(
        '',
        'Pose of the reference sensor (or IMU, or child frame of the odometry) in the optical frame of the camera, as '
        '"x y z roll pitch yaw" in metres and radians. Empty = from tf, or identity if both have the same frame.',
        group='scale',
    )
    scale_imu: bool = parameter(
        False,
        'Use the direction of gravity from the topic imu instead of camera_pitch_rad.',
        group='scale',
        read_only=True,
    )
    scale_max_skew_ms: float = parameter(
        100.0,
        'Maximum difference between the stamps of a reference and of the image that it is compared with, or for '
        'which it is the measured depth.',
        group='scale',
        unit='ms',
        minimum=0.0,
        maximum=10000.0,
    )
    scale_hold_s: float = parameter(
        2.0,
        'Time for which a scale remains valid after its last confirmation; after that no metric depth is published.',
        group='scale',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.scale_source == 'ground' and not self.camera_height_m:
            problems.append('scale.source is ground and camera_height_m is 0; expected the height of the camera')
        if self.scale_source == 'fixed' and self.fallback_model:
            problems.append(
                'scale.source is fixed and fallback_model is set; expected only one of them, because the scale of one '
                'network is wrong for another'
            )
        return problems + _wrong_pose('scale.extrinsics', self.scale_extrinsics)


@dataclass(frozen=True)
class MultiviewSettings(Settings):
    """Parameters of ``multiview_depth``."""

    model: str = parameter(
        '',
        'Must be empty: depth is measured by plane sweep, without a network. The parameters of inference have no '
        'effect.',
        rebuilds=('network',),
    )
    range_max_m: float = parameter(
        40.0,
        'Maximum distance; farther pixels become +Inf.',
        unit='m',
        minimum=0.02,
        maximum=100000.0,
        rebuilds=('matcher',),
    )
    pose_source: str = parameter(
        'odometry',
        'Source of the poses. odometry: the topic odom (nav_msgs/Odometry). tf: the pose of the camera in fixed_frame '
        '(needs tf2_ros).',
        choices=('odometry', 'tf'),
        read_only=True,
    )
    fixed_frame: str = parameter(
        'odom',
        'Frame that does not move and in which the pose does not jump; used with pose_source: tf.',
        read_only=True,
    )
    extrinsics: str = parameter(
        '',
        'Pose of the optical frame of the camera in the child frame of the odometry, as "x y z roll pitch yaw" in '
        'metres and radians; a camera that looks forward has "x y z -1.5708 0 -1.5708". Empty = from tf, or identity '
        'if both are the same frame.',
        read_only=True,
    )
    max_pose_age_s: float = parameter(
        0.5,
        'Maximum time between the poses before and after an image, and maximum time for which an image waits for '
        'its pose; after that it is dropped.',
        unit='s',
        minimum=0.01,
        maximum=60.0,
        read_only=True,
    )
    keyframe_max_age_s: float = parameter(
        10.0,
        'Maximum age of the earlier images that an image is compared with: the scene may have changed, and odometry '
        'drifts. 0 = no limit.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
        read_only=True,
    )
    hold: bool = parameter(
        False,
        'While the motion of the camera gives no new depth, publish the depth that was measured last, as it is seen '
        'from the new pose, with half its confidence; false = publish nothing.',
    )

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.model:
            problems.append(f"model is '{self.model}'; expected '', because multiview_depth does not use networks")
        if self.pose_source == 'tf' and not self.fixed_frame:
            problems.append("pose_source is tf and fixed_frame is ''; expected the name of a frame such as odom")
        return problems + _wrong_pose('extrinsics', self.extrinsics)


NodeSettings = StereoSettings | MonoSettings | MultiviewSettings
"""Settings of one of the depth nodes."""


def _wrong_pose(name: str, text: str) -> list[str]:
    """Return the error message for a pose that cannot be read; none for an empty text."""
    try:
        if text:
            parse_pose(text)
    except ValueError as error:
        return [f"{name} is '{text}'; {error}"]
    return []
