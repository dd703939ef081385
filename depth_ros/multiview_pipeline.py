"""The pipeline of a moving camera: from a frame and its pose to a depth map."""

from depth_ros.errors import BadCameraInfo
from depth_ros.estimators.estimator import MultiviewEstimator
from depth_ros.multiview.moving_camera import MovingCamera
from depth_ros.multiview.plane_sweep import PlaneSweep
from depth_ros.multiview.pose_track import TrackedPose
from depth_ros.networks.runtimes.progress import NO_LISTENER, ProgressListener
from depth_ros.pipeline import filtered
from depth_ros.settings.node_settings import MultiviewSettings
from depth_ros.stages.metric import within_range
from depth_ros.types import DepthMap, Frame, UInt8Array, View


def multiview_estimator(settings: MultiviewSettings, listener: ProgressListener = NO_LISTENER) -> MultiviewEstimator:
    """Return the estimator for the settings: plane sweep between the limits of the distance."""
    return PlaneSweep(settings.range_min_m, settings.range_max_m)


def multiview_depth_map(
    frame: Frame,
    pose: TrackedPose,
    moving: MovingCamera,
    estimator: MultiviewEstimator,
    settings: MultiviewSettings,
    mask: UInt8Array | None = None,
) -> DepthMap | None:
    """Estimate the metric depth of an image of a moving camera; None if its motion allows no estimate.

    Args:
        frame: The image; its camera must be known.
        pose: Pose of the optical frame.
        moving: Earlier images of the camera; updated.
        estimator: Measures the depth.
        settings: Range, filters and ``hold``.
        mask: Content of ``filter.mask_file``, if that is set.

    Raises:
        BadCameraInfo: the camera is unknown.
        EstimatorError: the estimator failed on this frame.
        BadFile: as ``filtered``.
    """
    if frame.camera is None:
        raise BadCameraInfo('no camera_info received; expected the intrinsics of the camera. Publish camera_info')
    view = View(frame.image, frame.camera, pose.pose, frame.stamp_ns, frame.frame_id)
    estimate = moving.estimate(view, pose.segment, estimator, settings.hold)
    if estimate is None:
        return None
    depth_m = within_range(estimate.values, settings.range_min_m, settings.range_max_m)
    depth = DepthMap(depth_m, view.camera, estimate.confidence, None, view.image, view.stamp_ns, view.frame_id)
    return filtered(depth, settings, mask)
