"""The ``multiview_depth`` node: metric depth and points from one moving camera with known poses."""

from collections.abc import Callable
from typing import Any

from depth_ros.estimators.estimator import MultiviewEstimator
from depth_ros.messages import read_messages
from depth_ros.messages.camera_poses import CameraPoses, OdometryPoses, PoseLookup, TfPoses, mount_of
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.frames import mono_frame_of
from depth_ros.multiview.moving_camera import MovingCamera
from depth_ros.multiview_pipeline import multiview_depth_map, multiview_estimator
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.ros.depth_node import DepthNode
from depth_ros.ros.multiview_input import MultiviewInput, MultiviewMessages
from depth_ros.ros.node_input import NodeInput
from depth_ros.ros.tf_transforms import poses_by_tf, transforms_by_tf
from depth_ros.scale.sensor_pose import Transform
from depth_ros.settings.node_settings import MultiviewSettings
from depth_ros.types import DepthMap, RelativeMap


class _NoNewDepth(Exception):
    """The motion of the camera gives no depth for this image."""


class MultiviewDepthNode(DepthNode[MultiviewMessages, MultiviewEstimator, MultiviewSettings]):
    """Depth from the images of one moving camera."""

    _excluded_topics = ('disparity', 'depth/relative', 'scale')

    def __init__(
        self,
        make_estimator: Callable[[MultiviewSettings, ProgressListener], MultiviewEstimator] = multiview_estimator,
        **node_options: Any,
    ) -> None:
        super().__init__('multiview_depth', MultiviewSettings, make_estimator, **node_options)
        self._moving = MovingCamera()
        self._poses: CameraPoses | None = None
        self._transform: Transform | None = None
        self._lookup: PoseLookup | None = None

    def _open_input(self, deliver: Callable[[MultiviewMessages], None]) -> NodeInput:
        settings = self._live_settings.current()
        self._moving = MovingCamera(settings.keyframe_max_age_s)
        self._poses = self._make_poses(settings)
        return MultiviewInput(self, settings, self._poses, self.accounting, deliver, self._report)

    def _make_poses(self, settings: MultiviewSettings) -> CameraPoses:
        # Listeners of tf are kept: tf2_ros does not end them before the node is destroyed.
        if settings.pose_source == 'tf':
            self._lookup = self._lookup or poses_by_tf(self)
            return TfPoses(settings.fixed_frame, self._lookup, self._report)
        mount = mount_of(settings.extrinsics)
        if mount is None:
            self._transform = self._transform or transforms_by_tf(self)
        transform = self._transform or (lambda target, source, stamp_ns: None)
        return OdometryPoses(mount, transform, self._report, settings.max_pose_age_s)

    def _stamp_ns(self, job: MultiviewMessages) -> int:
        return read_messages.stamp_ns(job.image.header.stamp)

    def _process(self, job: MultiviewMessages, generation: int) -> DropReason | None:
        try:
            return super()._process(job, generation)
        except _NoNewDepth as reason:
            self._problem = str(reason)  # not logged: a robot stands still most of the time
            return DropReason.NO_PARALLAX

    def _estimate(
        self, job: MultiviewMessages, settings: MultiviewSettings, estimator: MultiviewEstimator
    ) -> DepthMap | RelativeMap:
        info = read_messages.calibration(job.info)
        self._warn_about_calibration(job.image.header.frame_id, info, 'image', settings.rectify)
        frame = mono_frame_of(job.image, info, settings, self._camera.rectifier)
        mask = self._camera.mask.current(settings.filter_mask_file)
        depth = multiview_depth_map(frame, job.pose, self._moving, estimator, settings, mask)
        if self._outputs is not None:
            self._outputs.publish_keyframes(self._moving.keyframe_poses(), frame.stamp_ns, frame.frame_id)
        if depth is None:
            raise _NoNewDepth(self._moving.state_text)
        return depth

    def _image_state(self) -> tuple[str, dict[str, str]]:
        moving, poses, source = self._moving, self._poses, self._input
        if poses is None:
            return '', {}
        lost = isinstance(source, MultiviewInput) and source.pose_lost
        state = 'pose lost' if lost else moving.state.value if moving.state else 'unknown'
        values = {
            'motion.state': state,
            'motion.held': str(moving.held).lower(),
            'motion.keyframes': str(moving.keyframe_count),
            'motion.restarts': str(moving.restarts),
            **{f'poses.{fault}': str(count) for fault, count in sorted(poses.track.faults.items())},
        }
        held = f'{state}: the published depth was measured earlier' if moving.held and not lost else ''
        return held, values
