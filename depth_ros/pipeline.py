"""The flow, in code: a stereo frame becomes a depth map, a depth map becomes a cloud.

::

    decode ─► rectify ─► estimator ─► to metres ─► project
    └── picture_pair ──┘ └──── depth_map ────────┘ └ stages.project ┘

Nothing here knows ROS, files, clocks or logs. The nodes and the command line call these two functions.
"""

from depth_ros.errors import BadImage
from depth_ros.estimators.estimator import Estimator
from depth_ros.estimators.semi_global_matching import SemiGlobalMatching
from depth_ros.settings import Settings
from depth_ros.stages.calibration import stereo_rig
from depth_ros.stages.metric import depth_from_disparity, rectified_disparity
from depth_ros.stages.rectify import rectify
from depth_ros.stages.resize import resized
from depth_ros.types import Calibration, DepthMap, StereoFrame, UInt8Array

_SMALLEST_SIDE_PX = 16


def stereo_frame(
    left: UInt8Array,
    right: UInt8Array,
    left_calibration: Calibration,
    right_calibration: Calibration,
    settings: Settings,
    stamp_ns: int = 0,
    frame_id: str = '',
) -> StereoFrame:
    """Join two decoded pictures and their calibrations into a rectified pair at the size that is processed.

    Raises:
        BadImage: the pictures differ in size or are too small.
        BadCameraInfo: the calibrations do not give metres.
    """
    height, width = left.shape[:2]
    if right.shape[:2] != (height, width):
        raise BadImage(
            f'left image is {width}x{height} and right image is {right.shape[1]}x{right.shape[0]}; '
            'expected the same size. Set both cameras to one resolution'
        )
    if min(height, width) * settings.processing_scale < _SMALLEST_SIDE_PX:
        raise BadImage(
            f'images of {width}x{height} at processing_scale {settings.processing_scale:g} are too small to match; '
            f'expected at least {_SMALLEST_SIDE_PX} pixels each way'
        )
    rig = stereo_rig(left_calibration, right_calibration, width, height)
    if settings.rectify:
        left = rectify(left, left_calibration, 'left')
        right = rectify(right, right_calibration, 'right')
    return resized(StereoFrame(left, right, rig, stamp_ns, frame_id), settings.processing_scale)


def depth_map(frame: StereoFrame, estimator: Estimator, settings: Settings) -> DepthMap:
    """Measure a frame.

    Raises:
        EstimatorError: the estimator failed on this frame.
    """
    raw = estimator.estimate(frame)
    disparity = rectified_disparity(raw, frame.rig)
    depth_m = depth_from_disparity(disparity, settings.range_min_m, settings.range_max_m)
    return DepthMap(depth_m, frame.rig.left, raw.confidence, disparity, frame.left, frame.stamp_ns, frame.frame_id)


def stereo_estimator(settings: Settings) -> Estimator:
    """Return the estimator that the settings ask for."""
    scaled = settings.max_disparity * settings.processing_scale
    return SemiGlobalMatching(
        'strict' if settings.quality == 'strict' else 'balanced', settings.range_min_m, scaled or None
    )
