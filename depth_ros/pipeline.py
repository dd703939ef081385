"""The flow, in code: a frame becomes a depth map, a depth map becomes a cloud.

::

    decode ─► rectify ─► estimator ─► to metres ─► filters ─► project
    └─ stereo_frame ──┘  └──────────── depth_map ────────┘  └ cloud ┘
    └─ mono_frame ────┘  └───────── mono_depth_map ──────┘  (scale.scaler finds the metres of a relative model)

Nothing here knows ROS, clocks, logs or files that change. The nodes and the command line call these functions; what a
camera keeps between frames (camera_state.py) is theirs, and is passed as an argument.
"""

from dataclasses import replace

from depth_ros.errors import BadFile, BadImage, BadSettings
from depth_ros.estimators.estimator import BatchEstimator, Estimator, MonoEstimator
from depth_ros.networks.catalog import available_models
from depth_ros.networks.load_network import load_network
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.runtimes.progress import NO_LISTENER, ProgressListener
from depth_ros.scale.scaler import ScaleSource
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.stages import filters
from depth_ros.stages.intrinsics import rectified_camera, stereo_rig
from depth_ros.stages.metric import depth_from_disparity, rectified_disparity, within_range
from depth_ros.stages.navigation import cropped, one_per_voxel
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.stages.project import project
from depth_ros.stages.rectify import Rectifier
from depth_ros.stages.resize import resized
from depth_ros.stereo.semi_global_matching import SemiGlobalMatching
from depth_ros.types import Calibration, Cloud, DepthMap, Float32Array, Frame, RelativeMap, StereoFrame, UInt8Array

_SMALLEST_SIDE_PX = 16


def stereo_frame(
    left: UInt8Array,
    right: UInt8Array,
    left_calibration: Calibration,
    right_calibration: Calibration,
    settings: StereoSettings,
    stamp_ns: int = 0,
    frame_id: str = '',
    rectifier: Rectifier | None = None,
) -> StereoFrame:
    """Join two decoded pictures and their calibrations into a rectified pair at the size that is processed.

    Args:
        left: Left picture.
        right: Right picture.
        left_calibration: Of the left picture.
        right_calibration: Of the right picture.
        settings: Whether to rectify, and the size.
        stamp_ns: Acquisition time of the left picture.
        frame_id: Optical frame of the left camera.
        rectifier: Of the pair, kept between frames; None = maps are computed for this frame.

    Raises:
        BadImage: the pictures differ in size or are too small.
        BadCameraInfo: the calibrations do not give metres.
    """
    height, width = left.shape[:2]
    if right.shape[:2] != (height, width):
        raise BadImage(
            f'left image is {width}x{height} and right image is {right.shape[1]}x{right.shape[0]}; '
            'expected the same size. Use images of one resolution'
        )
    _check_side(min(height, width) * settings.processing_scale, f'{width}x{height}')
    rig = stereo_rig(left_calibration, right_calibration, width, height)
    if settings.rectify:
        rectifier = rectifier or Rectifier()
        left = rectifier.rectify(left, left_calibration, 'left')
        right = rectifier.rectify(right, right_calibration, 'right')
    return resized(StereoFrame(left, right, rig, stamp_ns, frame_id), settings.processing_scale)


def mono_frame(
    image: UInt8Array,
    calibration: Calibration | None,
    settings: MonoSettings,
    stamp_ns: int = 0,
    frame_id: str = '',
    rectifier: Rectifier | None = None,
) -> Frame:
    """Join a decoded picture and its calibration, if there is one, into a rectified frame.

    Args:
        image: The picture.
        calibration: Of the picture.
        settings: Whether to rectify.
        stamp_ns: Acquisition time.
        frame_id: Optical frame of the camera.
        rectifier: Of the camera, kept between frames; None = maps are computed for this frame.

    Raises:
        BadImage: the picture is too small.
        BadCameraInfo: the calibration is of no use.
    """
    height, width = image.shape[:2]
    _check_side(min(height, width), f'{width}x{height}')
    if calibration is None:
        return Frame(image, None, stamp_ns, frame_id)
    camera = rectified_camera(calibration, width, height)
    if settings.rectify:
        image = (rectifier or Rectifier()).rectify(image, calibration)
    return Frame(image, camera, stamp_ns, frame_id)


def depth_map(
    frame: StereoFrame, estimator: Estimator, settings: StereoSettings, mask: UInt8Array | None = None
) -> DepthMap:
    """Measure a pair.

    Args:
        frame: The pair.
        estimator: Measures its disparity.
        settings: Range and filters.
        mask: What ``filter.mask_file`` holds, if it is set.

    Raises:
        EstimatorError: the estimator failed on this frame.
        BadFile: as ``filtered``.
    """
    raw = estimator.estimate(frame)
    disparity = rectified_disparity(raw, frame.rig)
    depth_m = depth_from_disparity(disparity, settings.range_min_m, settings.range_max_m)
    seen = DepthMap(depth_m, frame.rig.left, raw.confidence, disparity, frame.left, frame.stamp_ns, frame.frame_id)
    return filtered(seen, settings, mask)


def mono_depth_map(
    frame: Frame,
    estimator: MonoEstimator,
    settings: MonoSettings,
    scaler: ScaleSource | None = None,
    mask: UInt8Array | None = None,
) -> DepthMap | RelativeMap:
    """Estimate a picture's depth; what is not metres comes back as a relative map that says why.

    Args:
        frame: The picture.
        estimator: Sees depth in it, metres or not.
        settings: Range, and where the scale comes from.
        scaler: Follows the scale; None where nothing gives one.
        mask: What ``filter.mask_file`` holds, if it is set.

    Raises:
        EstimatorError: the estimator failed on this frame.
        BadFile: as ``filtered``.
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
    return filtered(depth, settings, mask)


def filtered(depth: DepthMap, settings: Settings, mask: UInt8Array | None = None) -> DepthMap:
    """Remove the depth that the settings do not trust, then fill the holes that they want filled.

    Args:
        depth: The map.
        settings: Which filters act.
        mask: What ``filter.mask_file`` holds, if it is set (``MaskFile``).

    Raises:
        BadFile: the mask is of another size.
        BadSettings: ``filter.mask_file`` is set and no mask was given.
    """
    depth_m = depth.depth_m
    if settings.filter_edges:
        depth_m = filters.without_flying_pixels(depth_m, depth.camera)
    if settings.filter_speckle_px:
        depth_m = filters.without_speckles(depth_m, settings.filter_speckle_px)
    if settings.filter_min_confidence and depth.confidence is not None:
        depth_m = filters.without_low_confidence(depth_m, depth.confidence, settings.filter_min_confidence)
    if settings.filter_mask_file:
        depth_m = filters.without_region(depth_m, _checked_mask(mask, depth_m, settings.filter_mask_file))
    if settings.filter_fill_px:
        depth_m = filters.fill_holes(depth_m, settings.filter_fill_px)
    return depth if depth_m is depth.depth_m else replace(depth, depth_m=depth_m)


def _checked_mask(mask: UInt8Array | None, depth_m: Float32Array, path: str) -> UInt8Array:
    if mask is None:
        raise BadSettings(f"filter.mask_file is '{path}' and no mask was given; expected what MaskFile.current returns")
    if mask.shape != depth_m.shape:
        raise BadFile(
            f'{path} is {mask.shape[1]}x{mask.shape[0]} and the depth image {depth_m.shape[1]}x{depth_m.shape[0]}; '
            'expected the same. Resize the mask'
        )
    return mask


def cropped_for_cloud(depth: DepthMap, settings: Settings) -> DepthMap:
    """Return the map without what the settings keep out of the cloud by distance and height."""
    band = settings.height_band
    if not settings.cloud_range_max_m and band is None:
        return depth
    return cropped(depth, settings.cloud_range_max_m or settings.range_max_m, band, settings.mount)


def cloud(depth: DepthMap, settings: Settings, rays: PixelRays | None = None) -> Cloud:
    """Return the points that the settings want of a map that has a camera.

    Args:
        depth: The map.
        settings: What the cloud holds.
        rays: Of the camera, kept between frames; None = computed for this cloud.
    """
    colored, near = settings.cloud_fields == 'xyzrgb', cropped_for_cloud(depth, settings)
    points = project(near, colored, settings.cloud_organized, settings.cloud_stride, rays=rays)
    return one_per_voxel(points, settings.cloud_voxel_m) if settings.cloud_voxel_m else points


def stereo_estimator(settings: StereoSettings, watch: ProgressListener = NO_LISTENER) -> Estimator:
    """Return the estimator that the settings ask for: a network if they name one, else semi-global matching.

    Raises:
        ModelError, InferenceError: the network cannot be used.
    """
    if settings.model:
        return StereoNetwork(*load_network(settings, watch))
    scaled = settings.max_disparity * settings.processing_scale
    return SemiGlobalMatching(
        'strict' if settings.quality == 'strict' else 'balanced', settings.range_min_m, scaled or None
    )


def mono_estimator(settings: MonoSettings, watch: ProgressListener = NO_LISTENER, cameras: int = 1) -> BatchEstimator:
    """Return the network that the settings name.

    Args:
        settings: Name the network and how it runs.
        watch: Told of progress, asked whether to give up.
        cameras: How many cameras will share it: as many frames may have to be estimated at once.

    Raises:
        BadSettings: they name none.
        ModelError, InferenceError: it cannot be used.
    """
    check_model(settings)
    return MonoNetwork(*load_network(settings, watch, cameras))


def check_model(settings: MonoSettings) -> None:
    """Check that a network is named.

    Raises:
        BadSettings: it is not.
    """
    if not settings.model:
        raise BadSettings(
            "model is ''; expected the id of a network or the path of its manifest or ONNX file, because depth from "
            f'one image needs a network. {available_models("mono")}'
        )


_REMEDIES = {
    'fx': 'the focal length, which camera_info states',
    'K': 'the intrinsics, which camera_info states',
    'scale_shift': 'scale and shift: its output is relative. Use scale.source of mono_depth, or a metric model',
    'scale': 'a scale: its output is relative. Use scale.source of mono_depth, or a metric model',
}


def _why_not_metres(lacks: tuple[str, ...]) -> str:
    return 'no metres without ' + ', nor without '.join(_REMEDIES.get(need, need) for need in lacks)


def _check_side(side_px: float, size: str) -> None:
    if side_px < _SMALLEST_SIDE_PX:
        raise BadImage(
            f'an image of {size} is processed at {side_px:g} px on its shorter side; expected at least '
            f'{_SMALLEST_SIDE_PX}. Use larger images or a larger processing_scale'
        )
