"""The pipeline: from frames to depth maps, and from depth maps to clouds.

::

    decode ─► rectify ─► estimator ─► to metres ─► filters ─► project
    └─ stereo_frame ──┘  └──────────── depth_map ────────┘  └ cloud ┘
    └─ mono_frame ────┘  └───────── mono_depth_map ──────┘  (scale.scaler makes relative depth metric)

These functions use neither ROS nor clocks, logs or files that change. The nodes and the command line call them and pass
the state that a camera keeps between frames (camera_state.py) as arguments.
"""

from dataclasses import replace
from typing import cast

from depth_ros.errors import BadFile, BadImage, BadSettings
from depth_ros.estimators.estimator import BatchEstimator, Estimator, MonoEstimator
from depth_ros.networks.catalog import available_models
from depth_ros.networks.open_network import mono_network, stereo_network
from depth_ros.networks.runtimes.progress import NO_LISTENER, ProgressListener
from depth_ros.scale.scaler import ScaleSource
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import MonoSettings, Quality, StereoSettings
from depth_ros.stages import filters
from depth_ros.stages.align_rows import align_rows
from depth_ros.stages.intrinsics import rectified_camera, stereo_rig
from depth_ros.stages.metric import depth_from_disparity, rectified_disparity, within_range
from depth_ros.stages.navigation import cropped, one_per_voxel
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.stages.project import project
from depth_ros.stages.rectify import Rectifier
from depth_ros.stages.resize import resized
from depth_ros.stereo.semi_global_matching import SemiGlobalMatching
from depth_ros.types import (
    Calibration,
    Cloud,
    DepthEstimate,
    DepthMap,
    Float32Array,
    Frame,
    RelativeMap,
    RowShift,
    StereoFrame,
    UInt8Array,
)  # fmt: skip

_MIN_SIDE_PX = 16


def stereo_frame(
    left: UInt8Array,
    right: UInt8Array,
    left_calibration: Calibration,
    right_calibration: Calibration,
    settings: StereoSettings,
    stamp_ns: int = 0,
    frame_id: str = '',
    rectifier: Rectifier | None = None,
    row_shift: RowShift | None = None,
) -> StereoFrame:
    """Make a rectified pair at the processed size from two decoded images and their calibrations.

    Args:
        left: Left image.
        right: Right image.
        left_calibration: Calibration of the left image.
        right_calibration: Calibration of the right image.
        settings: Settings ``rectify`` and ``processing_scale`` are used.
        stamp_ns: Acquisition time of the left image.
        frame_id: Optical frame of the left camera.
        rectifier: Rectifier of the pair, kept between frames; None = the maps are computed for this frame.
        row_shift: Shift of the rows that is removed from the right image, in pixels at the processed size.

    Raises:
        BadImage: the images differ in size or are too small.
        BadCameraInfo: the calibrations are unusable for metric depth.
    """
    height, width = left.shape[:2]
    if right.shape[:2] != (height, width):
        raise BadImage(
            f'left image is {width}x{height} and right image is {right.shape[1]}x{right.shape[0]}; '
            'expected the same size. Use images of one resolution'
        )
    _check_side(min(height, width) * settings.processing_scale, f'{width}x{height}')
    rig = stereo_rig(left_calibration, right_calibration, width, height)
    row_shift = row_shift and row_shift.resized(1 / settings.processing_scale)
    if settings.rectify:
        rectifier = rectifier or Rectifier()
        left = rectifier.rectify(left, left_calibration, 'left')
        right = rectifier.rectify(right, right_calibration, 'right', row_shift)
    elif row_shift is not None:
        right = align_rows(right, row_shift, rig.right)
    return resized(StereoFrame(left, right, rig, stamp_ns, frame_id, row_shift), settings.processing_scale)


def mono_frame(
    image: UInt8Array,
    calibration: Calibration | None,
    settings: Settings,
    stamp_ns: int = 0,
    frame_id: str = '',
    rectifier: Rectifier | None = None,
) -> Frame:
    """Make a rectified frame from a decoded image and its calibration, if there is one.

    Args:
        image: The image.
        calibration: Calibration of the image; None = unknown.
        settings: Setting ``rectify`` is used.
        stamp_ns: Acquisition time.
        frame_id: Optical frame of the camera.
        rectifier: Rectifier of the camera, kept between frames; None = the maps are computed for this frame.

    Raises:
        BadImage: the image is too small.
        BadCameraInfo: the calibration is unusable.
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
    """Estimate the metric depth of a pair.

    Args:
        frame: The rectified pair.
        estimator: Estimates the disparity.
        settings: Range and filters.
        mask: Content of ``filter.mask_file``, if that is set.

    Raises:
        EstimatorError: the estimator failed on this frame.
        BadFile: as ``filtered``.
    """
    raw = estimator.estimate(frame)
    disparity = rectified_disparity(raw, frame.rig)
    depth_m = depth_from_disparity(disparity, settings.range_min_m, settings.range_max_m)
    depth = DepthMap(
        depth_m, frame.rig.left, raw.confidence, disparity, frame.left, frame.stamp_ns, frame.frame_id, raw.source
    )
    return filtered(depth, settings, mask)


def mono_depth_map(
    frame: Frame,
    estimator: MonoEstimator,
    settings: MonoSettings,
    scaler: ScaleSource | None = None,
    mask: UInt8Array | None = None,
) -> DepthMap | RelativeMap:
    """Estimate the depth of an image: a depth map if it is metric, otherwise a relative map with the reason.

    Args:
        frame: The image.
        estimator: Estimates metric or relative depth.
        settings: Range, filters and source of the scale.
        scaler: Provides the scale; None if there is no source of a scale.
        mask: Content of ``filter.mask_file``, if that is set.

    Raises:
        EstimatorError: the estimator failed on this frame.
        BadFile: as ``filtered``.
    """
    estimate = estimator.estimate(frame)
    if scaler is not None:
        status = scaler.update(estimate, frame, settings)
        if status.scale is None:
            reason = f'the scale is not known: {status.why}'
            return _relative_map(estimate, reason, frame)
        estimate = replace(estimate, values=status.scale.depth_m(estimate.values), space='metric_depth')
    if estimate.space != 'metric_depth':
        return _relative_map(estimate, _missing_for_metres(estimate.lacks), frame)
    depth_m = within_range(estimate.values, settings.range_min_m, settings.range_max_m)
    depth = DepthMap(
        depth_m, frame.camera, estimate.confidence, None, frame.image, frame.stamp_ns, frame.frame_id, estimate.source
    )
    return filtered(depth, settings, mask)


def _relative_map(estimate: DepthEstimate, reason: str, frame: Frame) -> RelativeMap:
    # Affine point maps lack their shift until the rays of the camera are known.
    shift_known = not {'scale_shift', 'K'} & set(estimate.lacks)
    return RelativeMap(
        estimate.values, estimate.space, reason, frame.stamp_ns, frame.frame_id, shift_known, source=estimate.source
    )


def filtered(depth: DepthMap, settings: Settings, mask: UInt8Array | None = None) -> DepthMap:
    """Apply the filters that are set: remove unreliable depth, then fill holes.

    Args:
        depth: The depth map.
        settings: Settings of the filters.
        mask: Content of ``filter.mask_file``, if that is set (``MaskFile``).

    Raises:
        BadFile: the mask has another size than the depth image.
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
        raise BadSettings(
            f"filter.mask_file is '{path}' and no mask was given; expected the result of MaskFile.current"
        )
    if mask.shape != depth_m.shape:
        raise BadFile(
            f'{path} is {mask.shape[1]}x{mask.shape[0]} and the depth image is {depth_m.shape[1]}x{depth_m.shape[0]}; '
            'expected the same size. Resize the mask'
        )
    return mask


def cropped_for_cloud(depth: DepthMap, settings: Settings) -> DepthMap:
    """Return the map without the pixels outside the distance and height limits of the cloud."""
    band = settings.height_band
    if not settings.cloud_range_max_m and band is None:
        return depth
    return cropped(depth, settings.cloud_range_max_m or settings.range_max_m, band, settings.mount)


def cloud(depth: DepthMap, settings: Settings, rays: PixelRays | None = None) -> Cloud:
    """Return the cloud of a depth map that has a camera.

    Args:
        depth: The depth map.
        settings: Fields, limits and density of the cloud.
        rays: Pixel rays of the camera, kept between frames; None = computed for this cloud.
    """
    colored, cropped_depth = settings.cloud_fields == 'xyzrgb', cropped_for_cloud(depth, settings)
    points = project(cropped_depth, colored, settings.cloud_organized, settings.cloud_stride, rays=rays)
    return one_per_voxel(points, settings.cloud_voxel_m) if settings.cloud_voxel_m else points


def stereo_estimator(settings: StereoSettings, listener: ProgressListener = NO_LISTENER) -> Estimator:
    """Return the estimator for the settings: a network if ``model`` is set, otherwise semi-global matching.

    Raises:
        ModelError, InferenceError: the network is unusable.
    """
    if settings.model:
        return stereo_network(settings, listener)
    max_disparity_px = settings.max_disparity * settings.processing_scale
    return SemiGlobalMatching(cast(Quality, settings.quality), settings.range_min_m, max_disparity_px or None)


def mono_estimator(
    settings: MonoSettings, listener: ProgressListener = NO_LISTENER, cameras: int = 1
) -> BatchEstimator:
    """Return the network for the settings.

    Args:
        settings: Setting ``model`` and the settings of inference are used.
        listener: Receives the progress and can cancel loading.
        cameras: Number of cameras that will share the network, and so of frames that may be estimated together.

    Raises:
        BadSettings: ``model`` is not set.
        ModelError, InferenceError: the network is unusable.
    """
    check_model(settings)
    return mono_network(settings, listener, cameras)


def check_model(settings: MonoSettings) -> None:
    """Check that a network is set.

    Raises:
        BadSettings: ``model`` is empty.
    """
    if not settings.model:
        raise BadSettings(
            "model is ''; expected the id of a network or the path of its manifest or model file, because depth from "
            f'one image needs a network. {available_models("mono")}'
        )


_REMEDIES = {
    'fx': 'the focal length (from camera_info)',
    'K': 'the intrinsics (from camera_info)',
    'scale_shift': 'scale and shift (set scale.source of mono_depth, or use a metric model)',
    'scale': 'a scale (set scale.source of mono_depth, or use a metric model)',
}


def _missing_for_metres(lacks: tuple[str, ...]) -> str:
    return 'metric depth requires ' + ' and '.join(_REMEDIES.get(need, need) for need in lacks)


def _check_side(side_px: float, size: str) -> None:
    if side_px < _MIN_SIDE_PX:
        raise BadImage(
            f'an image of {size} is processed at {side_px:g} px on its shorter side; expected at least '
            f'{_MIN_SIDE_PX}. Use larger images or a larger processing_scale'
        )
