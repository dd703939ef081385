"""The flow, in code: a frame becomes a depth map, a depth map becomes a cloud.

::

    decode ─► rectify ─► estimator ─► to metres ─► filters ─► project
    └─ stereo_frame ──┘  └──────────── depth_map ────────┘  └ cloud ┘
    └─ mono_frame ────┘  └───────── mono_depth_map ──────┘  (scale.scaler finds the metres of a relative model)

Nothing here knows ROS, clocks or logs. The nodes and the command line call these functions.
"""

from dataclasses import replace
from pathlib import Path

from depth_ros.common_settings import Settings
from depth_ros.errors import BadImage, BadSettings
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.estimators.load import load_network
from depth_ros.estimators.network import MonoNetwork, StereoNetwork
from depth_ros.estimators.semi_global_matching import SemiGlobalMatching
from depth_ros.files.pictures import read_region
from depth_ros.scale.scaler import Scaler
from depth_ros.settings import MonoSettings, StereoSettings
from depth_ros.stages import filters
from depth_ros.stages.calibration import rectified_camera, stereo_rig
from depth_ros.stages.metric import depth_from_disparity, rectified_disparity, within_range
from depth_ros.stages.navigation import cropped, one_per_voxel
from depth_ros.stages.project import project
from depth_ros.stages.rectify import rectify
from depth_ros.stages.resize import resized
from depth_ros.types import Calibration, Cloud, DepthMap, Frame, RelativeMap, StereoFrame, UInt8Array
from depth_ros.watch import UNWATCHED, Watch

_SMALLEST_SIDE_PX = 16


def stereo_frame(
    left: UInt8Array,
    right: UInt8Array,
    left_calibration: Calibration,
    right_calibration: Calibration,
    settings: StereoSettings,
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
    _check_side(min(height, width) * settings.processing_scale, f'{width}x{height}')
    rig = stereo_rig(left_calibration, right_calibration, width, height)
    if settings.rectify:
        left = rectify(left, left_calibration, 'left')
        right = rectify(right, right_calibration, 'right')
    return resized(StereoFrame(left, right, rig, stamp_ns, frame_id), settings.processing_scale)


def mono_frame(
    image: UInt8Array, calibration: Calibration | None, settings: MonoSettings, stamp_ns: int = 0, frame_id: str = ''
) -> Frame:
    """Join a decoded picture and its calibration, if there is one, into a rectified frame.

    Raises:
        BadImage: the picture is too small.
        BadCameraInfo: the calibration is of no use.
    """
    height, width = image.shape[:2]
    _check_side(min(height, width), f'{width}x{height}')
    if calibration is None:
        return Frame(image, None, stamp_ns, frame_id)
    camera = rectified_camera(calibration, width, height)
    return Frame(rectify(image, calibration) if settings.rectify else image, camera, stamp_ns, frame_id)


def depth_map(frame: StereoFrame, estimator: Estimator, settings: StereoSettings) -> DepthMap:
    """Measure a pair.

    Raises:
        EstimatorError: the estimator failed on this frame.
    """
    raw = estimator.estimate(frame)
    disparity = rectified_disparity(raw, frame.rig)
    depth_m = depth_from_disparity(disparity, settings.range_min_m, settings.range_max_m)
    seen = DepthMap(depth_m, frame.rig.left, raw.confidence, disparity, frame.left, frame.stamp_ns, frame.frame_id)
    return filtered(seen, settings)


def mono_depth_map(
    frame: Frame, estimator: MonoEstimator, settings: MonoSettings, scaler: Scaler | None = None
) -> DepthMap | RelativeMap:
    """Estimate a picture's depth; what is not metres comes back as a relative map that says why.

    Args:
        frame: The picture.
        estimator: Sees depth in it, metres or not.
        settings: Range, and where the scale comes from.
        scaler: Follows the scale; None where nothing gives one.

    Raises:
        EstimatorError: the estimator failed on this frame.
    """
    seen = estimator.estimate(frame)
    if scaler is not None:
        status = scaler.update(seen, frame, settings)
        if status.scale is None:
            why = f'the scale is not known: {status.why}'
            return RelativeMap(seen.values, seen.space, why, frame.stamp_ns, frame.frame_id)
        seen = replace(seen, values=status.scale.depth_m(seen.values), space='metric_depth')
    if seen.space != 'metric_depth':
        return RelativeMap(seen.values, seen.space, _why_not_metres(seen.lacks), frame.stamp_ns, frame.frame_id)
    depth_m = within_range(seen.values, settings.range_min_m, settings.range_max_m)
    depth = DepthMap(depth_m, frame.camera, seen.confidence, None, frame.image, frame.stamp_ns, frame.frame_id)
    return filtered(depth, settings)


def filtered(depth: DepthMap, settings: Settings) -> DepthMap:
    """Forget what the settings do not want to believe, then fill what they want filled.

    Raises:
        BadFile: the region's picture is of no use, or of another size.
    """
    depth_m = depth.depth_m
    if settings.filter_edges:
        depth_m = filters.without_flying_pixels(depth_m, depth.camera)
    if settings.filter_speckle_px:
        depth_m = filters.without_speckles(depth_m, settings.filter_speckle_px)
    if settings.filter_min_confidence and depth.confidence is not None:
        depth_m = filters.without_doubtful(depth_m, depth.confidence, settings.filter_min_confidence)
    if settings.filter_mask_file:
        depth_m = filters.without_region(depth_m, read_region(Path(settings.filter_mask_file), depth_m.shape))
    if settings.filter_fill_px:
        depth_m = filters.fill_holes(depth_m, settings.filter_fill_px)
    return depth if depth_m is depth.depth_m else replace(depth, depth_m=depth_m)


def cropped_for_cloud(depth: DepthMap, settings: Settings) -> DepthMap:
    """Return the map without what the settings keep out of the cloud by distance and height."""
    band = settings.height_band
    if not settings.cloud_range_max_m and band is None:
        return depth
    return cropped(depth, settings.cloud_range_max_m or settings.range_max_m, band, settings.mount)


def cloud(depth: DepthMap, settings: Settings) -> Cloud:
    """Return the points that the settings want of a map that has a camera."""
    colored, near = settings.cloud_fields == 'xyzrgb', cropped_for_cloud(depth, settings)
    points = project(near, colored, settings.cloud_organized, settings.cloud_stride)
    return one_per_voxel(points, settings.cloud_voxel_m) if settings.cloud_voxel_m else points


def stereo_estimator(settings: StereoSettings, watch: Watch = UNWATCHED) -> Estimator:
    """Return the estimator that the settings ask for: a network if they name one, else semi-global matching.

    Raises:
        ModelError, BackendError: the network cannot be used.
    """
    if settings.model:
        return StereoNetwork(*load_network(settings, watch))
    scaled = settings.max_disparity * settings.processing_scale
    return SemiGlobalMatching(
        'strict' if settings.quality == 'strict' else 'balanced', settings.range_min_m, scaled or None
    )


def mono_estimator(settings: MonoSettings, watch: Watch = UNWATCHED) -> MonoEstimator:
    """Return the network that the settings name.

    Raises:
        BadSettings: they name none.
        ModelError, BackendError: it cannot be used.
    """
    check_model(settings)
    return MonoNetwork(*load_network(settings, watch))


def check_model(settings: MonoSettings) -> None:
    """Check that a network is named.

    Raises:
        BadSettings: it is not.
    """
    if not settings.model:
        raise BadSettings(
            "model is ''; expected the id of a network (depth-ros models list) or the path of its manifest. "
            'Depth from one image needs a network'
        )


_REMEDIES = {
    'fx': 'the focal length: publish camera_info',
    'K': 'the intrinsics: publish camera_info',
    'scale_shift': 'scale and shift: its output is relative. Set scale.source, or use a metric model',
    'scale': 'a scale: its output is relative. Set scale.source, or use a metric model',
}


def _why_not_metres(lacks: tuple[str, ...]) -> str:
    return 'no metres without ' + ', nor without '.join(_REMEDIES.get(need, need) for need in lacks)


def _check_side(side_px: float, size: str) -> None:
    if side_px < _SMALLEST_SIDE_PX:
        raise BadImage(
            f'an image of {size} is processed at {side_px:g} px on its shorter side; expected at least '
            f'{_SMALLEST_SIDE_PX}. Use larger images or a larger processing_scale'
        )
