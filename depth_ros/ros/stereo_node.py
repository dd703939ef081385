"""The ``stereo_depth`` node: topics in, metric depth and points out."""

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from depth_ros.errors import BadCameraInfo, BadImage, BadSettings, EstimatorError
from depth_ros.estimators.estimator import Estimator
from depth_ros.pipeline import depth_map, stereo_estimator, stereo_frame
from depth_ros.ros import messages
from depth_ros.ros.accounting import Accounting
from depth_ros.ros.complaints import Complaints
from depth_ros.ros.health import NodeState, TopicState, diagnostic_array
from depth_ros.ros.outputs import Outputs
from depth_ros.ros.parameters import Parameters
from depth_ros.ros.stereo_input import StereoInput, StereoMessages
from depth_ros.ros.worker import Worker
from depth_ros.settings import Settings
from depth_ros.stages.calibration import looks_unrectified
from depth_ros.types import Calibration, StereoFrame

_HEALTH_PERIOD_S = 0.5
_REFRESH_PERIOD_S = 0.1
_STOP_TIMEOUT_S = 2.0
_RELOAD_AFTER_FAILURES = 100
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class StereoDepthNode(LifecycleNode):
    """Lifecycle node. The executor's thread receives and pairs; one worker thread decodes, estimates and publishes.

    Args:
        make_estimator: Builds the estimator that settings ask for; tests and benchmarks put a fake here.
        node_options: As ``rclpy.node.Node``.
    """

    def __init__(self, make_estimator: Callable[[Settings], Estimator] = stereo_estimator, **node_options: Any) -> None:
        super().__init__('stereo_depth', **node_options)
        self.accounting = Accounting()
        self._make_estimator = make_estimator
        self._complaints = Complaints(self.get_logger().warning)
        self._live_settings = Parameters(self)
        self._lifecycle = 'unconfigured'
        self._trouble = ''
        self._failures_in_a_row = 0
        self._generation = 0
        """Goes up when work is stopped; what an earlier generation finishes late is not published."""
        self._estimator: Estimator | None = None
        self._estimator_settings: Settings | None = None
        self._outputs: Outputs | None = None
        self._input: StereoInput | None = None
        self._worker: Worker[StereoMessages] | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: health must not stop when simulated time does.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_HEALTH_PERIOD_S, self._report_health, clock=self._steady_clock)
        self.create_timer(_REFRESH_PERIOD_S, self._follow_publishers, clock=self._steady_clock)

    def starts_by_itself(self) -> bool:
        """Tell whether the ``autostart`` parameter asks to configure and activate without a lifecycle manager."""
        return bool(self.get_parameter('autostart').value)

    # Lifecycle. rclpy swallows what a transition raises, so every transition reports by itself.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters and build the estimator and the outputs."""
        return self._transition('configure', 'inactive', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start to work."""
        return self._transition('activate', 'active', self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; the frame at hand is finished or given up."""
        return self._transition('deactivate', 'inactive', self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the estimator and the outputs."""
        return self._transition('clean up', 'unconfigured', self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Do what deactivating and cleaning up do, from any state."""
        return self._transition('shut down', 'finalized', self._shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where configuring can be tried again."""
        return self._transition('recover', 'unconfigured', self._shut_down)

    def stop(self) -> bool:
        """End all work before the process does; False if the estimator could not be made to end."""
        stopped = self._stop_worker()
        self._cleanup()
        account = self.accounting.look()
        dropped = ', '.join(f'{count} {reason}' for reason, count in sorted(account.dropped.items())) or 'none'
        self.get_logger().info(f'{account.received} frames received, {account.published} published, dropped: {dropped}')
        return stopped

    def _transition(self, name: str, target: str, act: Callable[[], object]) -> TransitionCallbackReturn:
        try:
            act()
        except Exception as error:
            known = isinstance(error, BadSettings)
            self._trouble = f'cannot {name}: {error}'
            self.get_logger().error(self._trouble if known else f'{self._trouble} ({type(error).__name__})')
            return FAILURE
        self._lifecycle = target
        self._trouble = ''
        return SUCCESS

    def _configure(self) -> None:
        settings = self._live_settings.current()
        self._estimator, self._estimator_settings = self._make_estimator(settings), settings
        self._outputs = Outputs(self)
        self.get_logger().info(f'configured: {self._estimator.name}, quality {settings.quality}')

    def _activate(self) -> None:
        self._failures_in_a_row = 0
        self._worker = Worker(self._work, lambda _: self.accounting.drop('superseded'))
        self._input = StereoInput(
            self, self._live_settings.current, self.accounting, self._worker.submit, self._complain
        )

    def _deactivate(self) -> None:
        self._stop_worker()

    def _cleanup(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = self._estimator = self._estimator_settings = None

    def _shut_down(self) -> None:
        self._stop_worker()
        self._cleanup()

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
                self.get_logger().error(
                    f'the estimator has not ended within {_STOP_TIMEOUT_S:g} s; it is left behind with its frame'
                )
        self._estimator_settings = None  # an estimator that was cancelled or left behind is not used again
        return stopped

    # Work, on the worker's thread.

    def _work(self, job: StereoMessages) -> None:
        started_s, generation = time.monotonic(), self._generation
        try:
            reason = self._process(job, generation)
        except BadImage as error:
            self._drop('bad_image', str(error))
        except BadCameraInfo as error:
            self._drop('bad_camera_info', str(error))
        except Exception as error:
            if generation == self._generation:
                self._fail(error)
            else:
                self.accounting.drop('shutdown')
        else:
            if reason:
                self.accounting.drop(reason)
                return
            self._failures_in_a_row, self._trouble = 0, ''
            self.accounting.publish(self._age_s(job), time.monotonic() - started_s)

    def _process(self, job: StereoMessages, generation: int) -> str | None:
        """Publish what a pair shows; return the reason if there was no need to."""
        settings, outputs = self._live_settings.current(), self._outputs
        if outputs is None or not outputs.wanted():
            return 'no_subscriber'
        age_s = self._age_s(job)
        if settings.max_age_s and age_s > settings.max_age_s:
            self._complain('stale', f'a frame is {age_s:.2f} s old on arrival; max_age_s is {settings.max_age_s:g}')
            return 'stale'
        depth = depth_map(self._frame(job, settings), self._estimator_for(settings), settings)
        if generation != self._generation:
            return 'shutdown'
        outputs.publish(depth, settings)
        return None

    def _frame(self, job: StereoMessages, settings: Settings) -> StereoFrame:
        left_info, right_info = messages.calibration(job.left_info), messages.calibration(job.right_info)
        frame_id = job.left.header.frame_id or left_info.frame_id
        self._remark_on_calibration(job.left.header.frame_id, left_info, settings)
        return stereo_frame(
            messages.picture(job.left),
            messages.picture(job.right),
            left_info,
            right_info,
            settings,
            messages.stamp_ns(job.left.header.stamp),
            frame_id,
        )

    def _remark_on_calibration(self, image_frame: str, info: Calibration, settings: Settings) -> None:
        if image_frame != info.frame_id:
            self._complaints.tell(
                'frame_id',
                f"left image has frame_id '{image_frame}', its camera_info '{info.frame_id}'; "
                + ("the image's is used" if image_frame else "the camera_info's is used")
                + '. Let the driver publish the optical frame in both',
            )
        if not settings.rectify and looks_unrectified(info):
            self._complaints.tell(
                'unrectified',
                'left camera_info has distortion but no rectification (P is K): are these raw images? Set '
                'rectify: true after a stereo calibration, or subscribe to rectified topics',
            )

    def _estimator_for(self, settings: Settings) -> Estimator:
        if self._estimator is None or settings != self._estimator_settings:
            self._estimator, self._estimator_settings = self._make_estimator(settings), settings
        return self._estimator

    def _age_s(self, job: StereoMessages) -> float:
        now_ns: int = self.get_clock().now().nanoseconds
        return (now_ns - messages.stamp_ns(job.left.header.stamp)) / 1e9

    def _fail(self, error: Exception) -> None:
        self._failures_in_a_row += 1
        if self._failures_in_a_row % _RELOAD_AFTER_FAILURES == 0:
            self._estimator = None
        expected = isinstance(error, EstimatorError)
        text = f'a frame failed: {error}' if expected else f'a frame failed: {type(error).__name__}: {error}'
        self._drop('estimator_failed', text)

    def _drop(self, reason: str, text: str) -> None:
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
        self._diagnostics.publish(diagnostic_array(self._state(), self.get_clock().now().to_msg()))

    def _state(self) -> NodeState:
        subscriptions = self._input.subscriptions if self._input else {}
        now_s = time.monotonic()
        return NodeState(
            name=self.get_fully_qualified_name().lstrip('/'),
            lifecycle=self._lifecycle,
            account=self.accounting.look(),
            estimator=self._estimator.name if self._estimator else '',
            inputs=[
                TopicState(role, s.topic, s.publishers, now_s - s.last_message_s, s.incompatible)
                for role, s in subscriptions.items()
            ],
            wanted=self._outputs is not None and self._outputs.wanted(),
            busy_s=self._worker.busy_s() if self._worker else 0.0,
            timeout_s=float(self.get_parameter('estimate_timeout_s').value or 0),
            failures_in_a_row=self._failures_in_a_row,
            trouble=self._trouble,
        )
