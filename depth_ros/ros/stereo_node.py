"""The ``stereo_depth`` node: metric depth and points from a pair of image topics."""

import time
from collections.abc import Callable
from typing import Any

from depth_ros.estimators.estimator import Estimator
from depth_ros.messages import read_messages
from depth_ros.messages.frames import stereo_frame_of
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.pipeline import depth_map, stereo_estimator
from depth_ros.ros.depth_node import DepthNode
from depth_ros.ros.exposure_watch import ExposureWatch
from depth_ros.ros.node_input import NodeInput
from depth_ros.ros.stereo_input import StereoInput, StereoMessages
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.types import DepthMap


class StereoDepthNode(DepthNode[StereoMessages, Estimator, StereoSettings]):
    """Depth from left and right images with semi-global matching or a stereo network."""

    _excluded_topics = ('depth/relative', 'scale')

    def __init__(
        self,
        make_estimator: Callable[[StereoSettings, ProgressListener], Estimator] = stereo_estimator,
        **node_options: Any,
    ) -> None:
        self._exposure = ExposureWatch()
        super().__init__('stereo_depth', StereoSettings, make_estimator, **node_options)

    def _open_input(self, deliver: Callable[[StereoMessages], None]) -> NodeInput:
        self._exposure = ExposureWatch()
        return StereoInput(self, self._live_settings.current, self.accounting, deliver, self._report)

    def _stamp_ns(self, job: StereoMessages) -> int:
        return read_messages.stamp_ns(job.left.header.stamp)

    def _estimate(self, job: StereoMessages, settings: StereoSettings, estimator: Estimator) -> DepthMap:
        left_info, right_info = read_messages.calibration(job.left_info), read_messages.calibration(job.right_info)
        self._warn_about_calibration(job.left.header.frame_id, left_info, 'left image', settings.rectify)
        frame = stereo_frame_of(job.left, job.right, left_info, right_info, settings, self._camera.rectifier)
        if warning := self._exposure.update(frame, time.monotonic()):
            self._throttled_log.report('exposure', warning)
        return depth_map(frame, estimator, settings, self._camera.mask.current(settings.filter_mask_file))

    def _image_state(self) -> tuple[str, dict[str, str]]:
        return self._exposure.warning, self._exposure.values
