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
from depth_ros.types import DepthMap, StereoFrame


class StereoDepthNode(DepthNode[StereoMessages, Estimator, StereoSettings]):
    """Depth from left and right images with semi-global matching or a stereo network."""

    _excluded_topics = ('depth/relative', 'scale', 'keyframes')

    def __init__(
        self,
        make_estimator: Callable[[StereoSettings, ProgressListener], Estimator] = stereo_estimator,
        **node_options: Any,
    ) -> None:
        self._exposure = ExposureWatch()
        super().__init__('stereo_depth', StereoSettings, make_estimator, **node_options)
        self._estimated: StereoFrame | None = None
        """The frame of the current job, for the measurement of its rows."""

    def _open_input(self, deliver: Callable[[StereoMessages], None]) -> NodeInput:
        self._exposure = ExposureWatch()
        return StereoInput(self, self._live_settings.current, self.accounting, deliver, self._report)

    def _stamp_ns(self, job: StereoMessages) -> int:
        return read_messages.stamp_ns(job.left.header.stamp)

    def _estimate(self, job: StereoMessages, settings: StereoSettings, estimator: Estimator) -> DepthMap:
        left_info, right_info = read_messages.calibration(job.left_info), read_messages.calibration(job.right_info)
        self._warn_about_calibration(job.left.header.frame_id, left_info, 'left image', settings.rectify)
        camera, row_shift = self._camera, self._camera.rows.correction if settings.align_rows else None
        frame = stereo_frame_of(job.left, job.right, left_info, right_info, settings, camera.rectifier, row_shift)
        if warning := self._exposure.update(frame, time.monotonic()):
            self._throttled_log.report('exposure', warning)
        self._estimated = frame
        return depth_map(frame, estimator, settings, camera.mask.current(settings.filter_mask_file))

    def _image_state(self) -> tuple[str, dict[str, str]]:
        rows = self._camera.rows.status
        warnings = '. '.join(filter(None, (self._exposure.warning, rows.warning)))
        return warnings, {**self._exposure.values, **rows.values}

    def _work(self, job: StereoMessages) -> None:
        """Process a job; every few seconds, measure the rows of its frame after its depth has been published."""
        super()._work(job)
        frame, self._estimated = self._estimated, None
        if frame is None:
            return
        rows = self._camera.rows
        if text := rows.observe(frame, time.monotonic()):
            self.get_logger().info(text)
        if warning := rows.status.warning:
            self._throttled_log.report('rows', warning)
