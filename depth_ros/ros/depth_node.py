"""Base class of the depth nodes: lifecycle, worker, outputs and diagnostics.

Subclasses add their input and their estimator.
"""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType

from depth_ros.camera_state import CameraState
from depth_ros.estimators.estimator import AnyEstimator
from depth_ros.messages.drop_reasons import UNUSABLE_INPUT, DropReason
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.ros import node_process
from depth_ros.ros.calibration_warnings import calibration_warnings
from depth_ros.ros.constant_depth import ConstantDepthDetector
from depth_ros.ros.diagnostics import NodeState, TopicState, diagnostic_array
from depth_ros.ros.estimator_swap import SwappableEstimator
from depth_ros.ros.failure_recovery import FailureRecovery
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.ros.node_input import NodeInput
from depth_ros.ros.node_parameters import NodeParameters
from depth_ros.ros.outputs import Outputs
from depth_ros.ros.qos_overrides import warn_of_unused_qos_overrides
from depth_ros.ros.reporting_node import ReportingNode, namesake_warning
from depth_ros.ros.throttled_log import ThrottledLog
from depth_ros.ros.worker import Worker
from depth_ros.scale.scale_tracker import ScaleStatus
from depth_ros.settings.common_settings import SettingsT
from depth_ros.types import Calibration, DepthMap, RelativeMap

_DIAGNOSTICS_PERIOD_S = 0.5
_NAMESAKE_PERIOD_S = 5.0
_STOP_TIMEOUT_S = 2.0
JobT = TypeVar('JobT')
EstimatorT = TypeVar('EstimatorT', bound=AnyEstimator)


class DepthNode(ReportingNode, Generic[JobT, EstimatorT, SettingsT]):
    """Lifecycle node. The executor's thread receives messages; a worker thread decodes, estimates and publishes.

    Args:
        name: Name of the node.
        kind: Type of the settings.
        make_estimator: Builds the estimator for given settings and reports its progress; tests and benchmarks pass a
            fake.
        node_options: Keyword arguments of ``rclpy.node.Node``.
    """

    def __init__(
        self,
        name: str,
        kind: type[SettingsT],
        make_estimator: Callable[[SettingsT, ProgressListener], EstimatorT],
        **node_options: Any,
    ) -> None:
        super().__init__(name, **node_options)
        self.accounting = FrameAccounting()
        self._make_estimator = make_estimator
        self._throttled_log = ThrottledLog(self.get_logger().warning)
        self._live_settings: NodeParameters[SettingsT] = NodeParameters(self, kind)
        self._progress = ''
        """Current step of configuring."""
        self._diagnosed_s = 0.0
        self._recovery = FailureRecovery()
        self._camera = CameraState()
        self._constant_depth = ConstantDepthDetector()
        self._estimated_s = -math.inf
        self._generation = 0
        """Incremented when work is stopped; results of an earlier generation are not published."""
        self._estimator: SwappableEstimator[EstimatorT, SettingsT] | None = None
        self._outputs: Outputs | None = None
        self._input: NodeInput | None = None
        self._worker: Worker[JobT] | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock, so that diagnostics continue when simulated time stops.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        # Few wake-ups: each one costs rclpy about a millisecond, which is most of the load of an idle node.
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._check_and_report, clock=self._steady_clock)
        self.create_timer(_NAMESAKE_PERIOD_S, self._warn_about_namesakes, clock=self._steady_clock)

    _excluded_topics: Collection[str]
    """Topics that this node does not publish."""

    @abstractmethod
    def _open_input(self, deliver: Callable[[JobT], None]) -> NodeInput:
        """Subscribe; complete jobs are passed to ``deliver``."""

    @abstractmethod
    def _stamp_ns(self, job: JobT) -> int:
        """Return the acquisition time of a job's image."""

    @abstractmethod
    def _estimate(self, job: JobT, settings: SettingsT, estimator: EstimatorT) -> DepthMap | RelativeMap:
        """Decode a job and estimate its depth."""

    def _publish_relative(self, outputs: Outputs, relative: RelativeMap, settings: SettingsT) -> None:
        """Publish depth without a scale."""
        outputs.publish_relative(relative, settings)

    def _scale_status(self) -> ScaleStatus | None:
        """Return the state of the scale; None if the depth needs no scale."""
        return None

    def _image_state(self) -> tuple[str, dict[str, str]]:
        """Return a warning about the images, empty if there is none, and measured values for the diagnostics."""
        return '', {}

    def has_autostart(self) -> bool:
        """Return whether the node configures and activates itself at start (parameter ``autostart``)."""
        return bool(self.get_parameter('autostart').value)

    def stop(self) -> bool:
        """End all work before the process ends; return False if the estimator did not stop."""
        stopped = self._shut_down()
        self.get_logger().info(self.accounting.counts().summary)
        return stopped

    def _configure(self) -> None:
        self._lifecycle = 'configuring'
        self._progress = ''
        try:
            self._estimator = self._make_swappable_estimator()
            self._outputs = Outputs(self, self._excluded_topics)
        except Exception:
            self._lifecycle = 'unconfigured'
            self._cleanup()
            raise
        self.get_logger().info(f'configured: {self._estimator.name}')
        if self._estimator.caution:
            self.get_logger().warning(self._estimator.caution)

    def _make_swappable_estimator(self) -> 'SwappableEstimator[EstimatorT, SettingsT]':
        listener = ProgressListener(self._on_progress, self._is_cancelled)

        def make(settings: SettingsT) -> EstimatorT:
            return self._make_estimator(settings, listener)

        return SwappableEstimator(make, self._live_settings.current(), self._report)

    def _on_progress(self, text: str) -> None:
        self._progress = text
        self.get_logger().info(text)

    def _is_cancelled(self) -> bool:
        """Return whether to cancel configuring; publish diagnostics if a transition blocks the executor."""
        if time.monotonic() - self._diagnosed_s > 1.5 * _DIAGNOSTICS_PERIOD_S:
            self._publish_diagnostics()
        return node_process.exit_requested()

    def _activate(self) -> None:
        self._estimator = self._estimator or self._make_swappable_estimator()
        self._worker = Worker(self._work, lambda _: self.accounting.drop(DropReason.SUPERSEDED))
        try:
            self._input = self._open_input(self._worker.submit)
        except Exception:
            self._stop_worker()
            raise
        warn_of_unused_qos_overrides(self)

    def _stop_worker(self) -> bool:
        stopped = True
        if self._input is not None:
            self._input.close()
            self._input = None
        self._generation += 1
        if self._worker is not None:
            if self._estimator is not None:
                self._estimator.cancel()
            worker, self._worker = self._worker, None
            stopped = worker.stop(_STOP_TIMEOUT_S)
            if not stopped:
                self._close_estimator()  # a stuck estimator is not used again
                self.get_logger().error(
                    f'the estimator did not stop within {_STOP_TIMEOUT_S:g} s and is abandoned with its frame'
                )
        return stopped

    def _cleanup(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = None
        self._close_estimator()
        self._camera = CameraState()

    def _close_estimator(self) -> None:
        estimator, self._estimator = self._estimator, None
        if estimator is not None:
            estimator.close()

    # Processing, on the worker's thread.

    def _work(self, job: JobT) -> None:
        started_s, generation = time.monotonic(), self._generation
        try:
            reason = self._process(job, generation)
        except tuple(UNUSABLE_INPUT) as error:
            self._drop(UNUSABLE_INPUT[type(error)], str(error))
        except Exception as error:
            if generation == self._generation:
                self._handle_failure(error)
            else:
                self.accounting.drop(DropReason.SHUTDOWN)
        else:
            if reason:
                self.accounting.drop(reason)
                return
            self._recovery.succeeded()
            self.accounting.publish(self._age_s(job), time.monotonic() - started_s)

    def _process(self, job: JobT, generation: int) -> DropReason | None:
        """Process and publish a job; return the reason if it is dropped instead."""
        settings, outputs, swappable = self._live_settings.current(), self._outputs, self._estimator
        if outputs is None or swappable is None or not outputs.has_subscribers():
            return DropReason.NO_SUBSCRIBER
        if (skip := self._recovery.reason_to_skip()) is not None:
            return skip
        age_s = self._age_s(job)
        if settings.max_age_s and age_s > settings.max_age_s:
            self._report(
                DropReason.STALE,
                f'an image was {age_s:.2f} s old at the start of processing; max_age_s is {settings.max_age_s:g}',
            )
            return DropReason.STALE
        if settings.max_rate_hz and time.monotonic() - self._estimated_s < 0.9 / settings.max_rate_hz:
            return DropReason.MAX_RATE
        self._estimated_s = time.monotonic()
        with swappable.use(settings) as estimator:
            result = self._estimate(job, settings, estimator)
        if generation != self._generation:
            return DropReason.SHUTDOWN
        if isinstance(result, RelativeMap):
            self._publish_relative(outputs, result, settings)
            self._report('relative', f'{swappable.name}: {result.missing_for_metres}. Only relative depth is published')
        else:
            if settings.filter_temporal:
                result = self._camera.stabilizer.apply(result)
            outputs.publish(result, settings, self._camera.rays)
            self._problem = ''
            if missing := outputs.missing_setting(settings):
                self._report('height', missing)
            if self._constant_depth.update(result.depth_m):
                self._report(
                    'flat', 'all pixels have had the same depth for 30 frames. Check that the lens is not covered'
                )
        return None

    def _warn_about_calibration(self, image_frame: str, info: Calibration, side: str, rectify: bool) -> None:
        for kind, text in calibration_warnings(image_frame, info, side, rectify):
            self._throttled_log.report(kind, text)

    def _age_s(self, job: JobT) -> float:
        now_ns: int = self.get_clock().now().nanoseconds
        return (now_ns - self._stamp_ns(job)) / 1e9

    def _handle_failure(self, error: Exception) -> None:
        response = self._recovery.failed(error)
        self._drop(response.reason, response.text)
        if response.renew and self._estimator is not None:
            self._estimator.renew()
        if response.device_lost and self._live_settings.current().on_device_lost == 'exit':
            node_process.request_exit(1)

    def _drop(self, reason: DropReason, text: str) -> None:
        self.accounting.drop(reason)
        self._report(reason, text)

    def _report(self, kind: str, text: str) -> None:
        self._problem = text
        self._throttled_log.report(kind, text)

    # Diagnostics, on the executor's thread.

    def _check_and_report(self) -> None:
        if self._input is not None:
            self._input.refresh()
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        self._diagnosed_s = time.monotonic()
        for role, subscription in (self._input.subscriptions if self._input else {}).items():
            if warning := subscription.report_unpublished():
                self.get_logger().warning(f'no {role}: {warning}')
        self._diagnostics.publish(diagnostic_array(self._state(), self.get_clock().now().to_msg()))

    def _warn_about_namesakes(self) -> None:
        if warning := namesake_warning(self):
            self._throttled_log.report('namesake', warning)

    def _state(self) -> NodeState:
        subscriptions = self._input.subscriptions if self._input else {}
        now_s = time.monotonic()
        model_caution = self._estimator.caution if self._estimator and self._estimator.simulator_only else ''
        image_caution, image_values = self._image_state()
        return NodeState(
            name=self.get_fully_qualified_name().lstrip('/'),
            lifecycle=self._lifecycle,
            counts=self.accounting.counts(),
            estimator=self._estimator.name if self._estimator else '',
            inputs=[
                TopicState(role, s.topic, s.publishers, now_s - s.last_message_s, s.incompatible)
                for role, s in subscriptions.items()
            ],
            has_subscribers=self._outputs is not None and self._outputs.has_subscribers(),
            busy_s=self._worker.busy_s() if self._worker else 0.0,
            timeout_s=float(self.get_parameter('estimate_timeout_s').value or 0),
            failures_in_a_row=self._recovery.failures_in_a_row,
            device_lost=self._recovery.device_lost,
            problem=self._problem,
            progress=self._progress,
            caution='. '.join(filter(None, (model_caution, image_caution))),
            image_values=image_values,
            scale=self._scale_status(),
        )
