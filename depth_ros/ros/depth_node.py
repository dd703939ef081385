"""What every depth node is: a lifecycle, a worker, outputs, health. Subclasses add their input and their estimator."""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, Protocol, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType

from depth_ros.camera_state import CameraState
from depth_ros.errors import BadCameraInfo, BadFile, BadImage
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.ros import node_process
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.calibration_warnings import calibration_warnings
from depth_ros.ros.constant_depth import ConstantDepthDetector
from depth_ros.ros.diagnostics import NodeState, TopicState, diagnostic_array
from depth_ros.ros.estimator_swap import AnyEstimator, SwappableEstimator
from depth_ros.ros.failure_recovery import FailureRecovery
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.ros.node_parameters import NodeParameters
from depth_ros.ros.outputs import Outputs
from depth_ros.ros.qos_overrides import warn_of_unused_qos_overrides
from depth_ros.ros.reporting_node import ReportingNode, namesake_warning
from depth_ros.ros.throttled_log import ThrottledLog
from depth_ros.ros.worker import Worker
from depth_ros.scale.scale_tracker import ScaleStatus
from depth_ros.settings.common_settings import SettingsT
from depth_ros.types import Calibration, DepthMap, RelativeMap

_HEALTH_PERIOD_S = 0.5
_REFRESH_PERIOD_S = 0.1
_STOP_TIMEOUT_S = 2.0
JobT = TypeVar('JobT')
EstimatorT = TypeVar('EstimatorT', bound=AnyEstimator)


class NodeInput(Protocol):
    """Subscriptions that hand over jobs."""

    @property
    def subscriptions(self) -> Mapping[str, AdoptingSubscription]:
        """By what they are for, in words."""
        ...

    def refresh(self) -> None:
        """Follow publishers that came or went."""
        ...

    def close(self) -> None:
        """Unsubscribe and account for what still waited."""
        ...


class DepthNode(ReportingNode, Generic[JobT, EstimatorT, SettingsT]):
    """Lifecycle node. The executor's thread receives; one worker thread decodes, estimates and publishes.

    Args:
        name: Of the node.
        kind: Its settings.
        make_estimator: Builds the estimator that settings ask for, and says how far it is; tests and benchmarks put a
            fake here.
        node_options: As ``rclpy.node.Node``.
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
        self._complaints = ThrottledLog(self.get_logger().warning)
        self._live_settings: NodeParameters[SettingsT] = NodeParameters(self, kind)
        self._progress = ''
        """What configuring is at, in words."""
        self._reported_s = 0.0
        self._recovery = FailureRecovery()
        self._camera = CameraState()
        self._flatness = ConstantDepthDetector()
        self._estimated_s = -math.inf
        self._generation = 0
        """Goes up when work is stopped; what an earlier generation finishes late is not published."""
        self._slot: SwappableEstimator[EstimatorT, SettingsT] | None = None
        self._outputs: Outputs | None = None
        self._input: NodeInput | None = None
        self._worker: Worker[JobT] | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: health must not stop when simulated time does.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_HEALTH_PERIOD_S, self._report_health, clock=self._steady_clock)
        self.create_timer(_REFRESH_PERIOD_S, self._follow_publishers, clock=self._steady_clock)

    _without: Collection[str]
    """Topics that this node never has."""

    @abstractmethod
    def _open_input(self, deliver: Callable[[JobT], None]) -> NodeInput:
        """Subscribe; whole jobs go to ``deliver``."""

    @abstractmethod
    def _stamp_ns(self, job: JobT) -> int:
        """Return when a job's image was taken."""

    @abstractmethod
    def _see(self, job: JobT, settings: SettingsT, estimator: EstimatorT) -> DepthMap | RelativeMap:
        """Decode a job and estimate its depth."""

    def _scale_status(self) -> ScaleStatus | None:
        """Return what is known about the scale; None where the depth needs none."""
        return None

    def starts_by_itself(self) -> bool:
        """Tell whether the ``autostart`` parameter asks to configure and activate without a lifecycle manager."""
        return bool(self.get_parameter('autostart').value)

    def stop(self) -> bool:
        """End all work before the process does; False if the estimator could not be made to end."""
        stopped = self._shut_down()
        self.get_logger().info(self.accounting.look().summary)
        return stopped

    def _configure(self) -> None:
        self._lifecycle = 'configuring'
        self._progress = ''
        try:
            self._slot = self._new_slot()
            self._outputs = Outputs(self, self._without)
        except Exception:
            self._lifecycle = 'unconfigured'
            self._cleanup()
            raise
        self.get_logger().info(f'configured: {self._slot.name}')
        if self._slot.caution:
            self.get_logger().warning(self._slot.caution)

    def _new_slot(self) -> 'SwappableEstimator[EstimatorT, SettingsT]':
        watch = ProgressListener(self._say_progress, self._given_up)

        def make(settings: SettingsT) -> EstimatorT:
            return self._make_estimator(settings, watch)

        return SwappableEstimator(make, self._live_settings.current(), self._complain)

    def _say_progress(self, text: str) -> None:
        self._progress = text
        self.get_logger().info(text)

    def _given_up(self) -> bool:
        """Report while a transition keeps the executor from doing it; tell whether to give up."""
        if time.monotonic() - self._reported_s > 1.5 * _HEALTH_PERIOD_S:
            self._report_health()
        return node_process.exit_requested()

    def _activate(self) -> None:
        self._slot = self._slot or self._new_slot()
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
            if self._slot is not None:
                self._slot.cancel()
            worker, self._worker = self._worker, None
            stopped = worker.stop(_STOP_TIMEOUT_S)
            if not stopped:
                self._close_slot()  # what is stuck is not used again
                self.get_logger().error(
                    f'the estimator has not ended within {_STOP_TIMEOUT_S:g} s; it is left behind with its frame'
                )
        return stopped

    def _cleanup(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = None
        self._close_slot()
        self._camera = CameraState()

    def _close_slot(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.close()

    # Work, on the worker's thread.

    def _work(self, job: JobT) -> None:
        started_s, generation = time.monotonic(), self._generation
        try:
            reason = self._process(job, generation)
        except BadImage as error:
            self._drop(DropReason.BAD_IMAGE, str(error))
        except BadCameraInfo as error:
            self._drop(DropReason.BAD_CAMERA_INFO, str(error))
        except BadFile as error:
            self._drop(DropReason.BAD_FILE, str(error))
        except Exception as error:
            if generation == self._generation:
                self._fail(error)
            else:
                self.accounting.drop(DropReason.SHUTDOWN)
        else:
            if reason:
                self.accounting.drop(reason)
                return
            self._recovery.succeeded()
            self.accounting.publish(self._age_s(job), time.monotonic() - started_s)

    def _process(self, job: JobT, generation: int) -> DropReason | None:
        """Publish what a job shows; return the reason if there was no need to."""
        settings, outputs, slot = self._live_settings.current(), self._outputs, self._slot
        if outputs is None or slot is None or not outputs.wanted():
            return DropReason.NO_SUBSCRIBER
        if (skip := self._recovery.reason_to_skip()) is not None:
            return skip
        age_s = self._age_s(job)
        if settings.max_age_s and age_s > settings.max_age_s:
            self._complain(
                DropReason.STALE, f'a frame is {age_s:.2f} s old on arrival; max_age_s is {settings.max_age_s:g}'
            )
            return DropReason.STALE
        if settings.max_rate_hz and time.monotonic() - self._estimated_s < 0.9 / settings.max_rate_hz:
            return DropReason.MAX_RATE
        self._estimated_s = time.monotonic()
        with slot.serving(settings) as estimator:
            seen = self._see(job, settings, estimator)
        if generation != self._generation:
            return DropReason.SHUTDOWN
        if isinstance(seen, RelativeMap):
            outputs.publish_relative(seen)
            self._complain('relative', f'{slot.name}: {seen.missing_for_metres}. Only depth/relative is published')
        else:
            if settings.filter_temporal:
                seen = self._camera.stabilizer.apply(seen)
            outputs.publish(seen, settings, self._camera.rays)
            self._trouble = ''
            if lacks := outputs.lacks(settings):
                self._complain('height', lacks)
            if self._flatness.suspicious(seen.depth_m):
                self._complain('flat', 'every pixel has the same depth, for 30 frames now. Is the lens covered?')
        return None

    def _remark_on_calibration(self, image_frame: str, info: Calibration, side: str, rectify: bool) -> None:
        for kind, text in calibration_warnings(image_frame, info, side, rectify):
            self._complaints.tell(kind, text)

    def _age_s(self, job: JobT) -> float:
        now_ns: int = self.get_clock().now().nanoseconds
        return (now_ns - self._stamp_ns(job)) / 1e9

    def _fail(self, error: Exception) -> None:
        consequence = self._recovery.failed(error)
        self._drop(consequence.reason, consequence.text)
        if consequence.renew and self._slot is not None:
            self._slot.renew()
        if consequence.device_lost and self._live_settings.current().on_device_lost == 'exit':
            node_process.request_exit(1)

    def _drop(self, reason: DropReason, text: str) -> None:
        self.accounting.drop(reason)
        self._complain(reason, text)

    def _complain(self, kind: str, text: str) -> None:
        self._trouble = text
        self._complaints.tell(kind, text)

    # Health, on the executor's thread.

    def _follow_publishers(self) -> None:
        if self._input is not None:
            self._input.refresh()

    def _report_health(self) -> None:
        self._reported_s = time.monotonic()
        for role, subscription in (self._input.subscriptions if self._input else {}).items():
            if words := subscription.report_unpublished():
                self.get_logger().warning(f'no {role}: {words}')
        self._diagnostics.publish(diagnostic_array(self._state(), self.get_clock().now().to_msg()))
        if warning := namesake_warning(self):
            self._complaints.tell('namesake', warning)

    def _state(self) -> NodeState:
        subscriptions = self._input.subscriptions if self._input else {}
        now_s = time.monotonic()
        return NodeState(
            name=self.get_fully_qualified_name().lstrip('/'),
            lifecycle=self._lifecycle,
            account=self.accounting.look(),
            estimator=self._slot.name if self._slot else '',
            inputs=[
                TopicState(role, s.topic, s.publishers, now_s - s.last_message_s, s.incompatible)
                for role, s in subscriptions.items()
            ],
            wanted=self._outputs is not None and self._outputs.wanted(),
            busy_s=self._worker.busy_s() if self._worker else 0.0,
            timeout_s=float(self.get_parameter('estimate_timeout_s').value or 0),
            failures_in_a_row=self._recovery.failures_in_a_row,
            device_lost=self._recovery.device_lost,
            trouble=self._trouble,
            progress=self._progress,
            caution=self._slot.caution if self._slot and self._slot.simulator_only else '',
            scale=self._scale_status(),
        )
