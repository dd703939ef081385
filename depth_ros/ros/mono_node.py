"""The ``mono_depth`` node: metric depth and points from one image topic; relative depth if there is no scale."""

from collections.abc import Callable
from typing import Any

from std_srvs.srv import Trigger

from depth_ros.estimators.estimator import BatchEstimator, MonoEstimator
from depth_ros.messages import read_messages
from depth_ros.messages.frames import mono_frame_of
from depth_ros.messages.scale_sensors import check_prompt_source
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.pipeline import mono_depth_map, mono_estimator
from depth_ros.ros.depth_node import DepthNode
from depth_ros.ros.mono_input import MonoInput, MonoMessages
from depth_ros.ros.node_input import JoinedInputs, NodeInput
from depth_ros.ros.outputs import Outputs
from depth_ros.ros.scale_input import ScaleInput
from depth_ros.ros.tf_transforms import transforms_by_tf
from depth_ros.scale.scale_tracker import ScaleStatus
from depth_ros.scale.scaler import Scaler, with_prompt
from depth_ros.scale.sensor_pose import Transform
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import DepthMap, RelativeMap


def node_estimator(settings: MonoSettings, listener: ProgressListener, cameras: int = 1) -> BatchEstimator:
    """Return the network of a node, as ``mono_estimator`` does.

    Raises:
        BadSettings: as ``mono_estimator``, or the network takes a measured depth and no source of it is set.
        ModelError, InferenceError: as ``mono_estimator``.
    """
    check_prompt_source(settings)
    return mono_estimator(settings, listener, cameras)


class MonoDepthNode(DepthNode[MonoMessages, MonoEstimator, MonoSettings]):
    """Depth from single images with a network."""

    _excluded_topics = ('disparity', 'keyframes')

    def __init__(
        self,
        make_estimator: Callable[[MonoSettings, ProgressListener], MonoEstimator] = node_estimator,
        **node_options: Any,
    ) -> None:
        super().__init__('mono_depth', MonoSettings, make_estimator, **node_options)
        self._scaler: Scaler | None = None
        self._transform: Transform | None = None
        self.create_service(Trigger, '~/reset_scale', self._on_reset_scale)

    def _configure(self) -> None:
        self._scaler = None
        if self._live_settings.current().scale_source != 'none':
            self._transform = self._transform or transforms_by_tf(self)
            self._scaler = Scaler(self._transform)
        super()._configure()

    def _open_input(self, deliver: Callable[[MonoMessages], None]) -> NodeInput:
        settings = self._live_settings.current()
        image = MonoInput(self, settings, self.accounting, deliver)
        if self._scaler is None:
            return image
        return JoinedInputs(image, ScaleInput(self, settings, self._scaler, self._report))

    def _scale_status(self) -> ScaleStatus | None:
        return self._scaler.status if self._scaler is not None and not self._takes_prompt() else None

    def _image_state(self) -> tuple[str, dict[str, str]]:
        return '', self._scaler.prompts.values if self._scaler is not None and self._takes_prompt() else {}

    def _takes_prompt(self) -> bool:
        estimator = self._estimator
        return estimator is not None and estimator.takes_prompt

    def _on_reset_scale(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._takes_prompt():
            response.message = 'no scale to reset: the network takes a measured depth, and its output is metric'
            return response
        if self._scaler is None:
            response.message = 'no scale to reset: scale.source is none, or the node is not configured'
            return response
        self._scaler.reset()
        response.success, response.message = True, 'scale reset; metric depth resumes after two fits that agree'
        return response

    def _stamp_ns(self, job: MonoMessages) -> int:
        return read_messages.stamp_ns(job.image.header.stamp)

    def _estimate(self, job: MonoMessages, settings: MonoSettings, estimator: MonoEstimator) -> DepthMap | RelativeMap:
        info = read_messages.calibration(job.info) if job.info is not None else None
        if info is not None:
            self._warn_about_calibration(job.image.header.frame_id, info, 'image', settings.rectify)
        frame = mono_frame_of(job.image, info, settings, self._camera.rectifier)
        mask = self._camera.mask.current(settings.filter_mask_file)
        frame, scaler = with_prompt(frame, estimator, self._scaler, settings)
        outputs = self._outputs
        result = mono_depth_map(frame, estimator, settings, scaler, mask)
        if scaler is not None and outputs is not None:
            outputs.publish_scale(scaler.status, frame.stamp_ns, frame.frame_id)
        return result

    def _publish_relative(self, outputs: Outputs, relative: RelativeMap, settings: MonoSettings) -> None:
        scaling = settings.relative_scaling
        topics = ('depth/color',) if scaling == 'none' else ('depth/color', 'depth/relative')
        if outputs.has_subscribers(topics):
            relative = self._camera.relative_scaler.apply(relative, scaling)
        if scaling == 'none' or relative.nearness is not None:
            super()._publish_relative(outputs, relative, settings)
