"""The ``mono_depth`` node: one image topic in, metric depth and points out; or relative depth, and why."""

from collections.abc import Callable
from typing import Any

from depth_ros.estimators.estimator import MonoEstimator
from depth_ros.pipeline import mono_depth_map, mono_estimator, mono_frame
from depth_ros.ros import messages
from depth_ros.ros.depth_node import DepthNode, Input
from depth_ros.ros.mono_input import MonoInput, MonoMessages
from depth_ros.settings import MonoSettings
from depth_ros.types import DepthMap, RelativeMap
from depth_ros.watch import Watch


class MonoDepthNode(DepthNode[MonoMessages, MonoEstimator, MonoSettings]):
    """Depth from single images, by a network."""

    _without = 'disparity'

    def __init__(
        self, make_estimator: Callable[[MonoSettings, Watch], MonoEstimator] = mono_estimator, **node_options: Any
    ) -> None:
        super().__init__('mono_depth', MonoSettings, make_estimator, **node_options)

    def _open_input(self, deliver: Callable[[MonoMessages], None]) -> Input:
        return MonoInput(self, self._live_settings.current(), self.accounting, deliver)

    def _stamp_ns(self, job: MonoMessages) -> int:
        return messages.stamp_ns(job.image.header.stamp)

    def _see(self, job: MonoMessages, settings: MonoSettings, estimator: MonoEstimator) -> DepthMap | RelativeMap:
        info = messages.calibration(job.info) if job.info is not None else None
        frame_id = job.image.header.frame_id
        if info is not None:
            self._remark_on_calibration(frame_id, info, 'image', settings.rectify)
            frame_id = frame_id or info.frame_id
        frame = mono_frame(messages.picture(job.image), info, settings, self._stamp_ns(job), frame_id)
        return mono_depth_map(frame, estimator, settings)
