"""Topics of a moving camera → images with their calibration and the pose of the camera."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from depth_ros.messages.camera_poses import CameraPoses, OdometryPoses
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.multiview.pose_track import TrackedPose
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.ros.mono_input import ImageMessage, MonoInput, MonoMessages
from depth_ros.settings.node_settings import MultiviewSettings

_MAX_WAITING = 30
_TF_PERIOD_S = 0.05


@dataclass(frozen=True)
class MultiviewMessages:
    """One image, its calibration, and the pose of the camera at its stamp."""

    image: ImageMessage
    info: CameraInfo
    pose: TrackedPose


class MultiviewInput:
    """Subscribes to one camera and to the source of its poses.

    An image waits until its pose is known, for at most ``max_pose_age_s``; after that it is dropped with a reason.

    Args:
        node: The node that subscribes.
        settings: Settings of the node.
        poses: Poses of the camera; receives the messages of the odometry.
        accounting: Counts received and dropped frames.
        deliver: Called with every complete image.
        report: Called with kind and text of a problem.
    """

    def __init__(
        self,
        node: Node,
        settings: MultiviewSettings,
        poses: CameraPoses,
        accounting: FrameAccounting,
        deliver: Callable[[MultiviewMessages], None],
        report: Callable[[str, str], None],
    ) -> None:
        self._node, self._poses, self._accounting = node, poses, accounting
        self._deliver, self._report = deliver, report
        self._max_wait_ns = settings.max_pose_age_s * 1e9
        self._waiting: deque[tuple[int, ImageMessage, CameraInfo]] = deque()
        """Images with the time of their arrival, by the clock of the node."""
        self.pose_lost = False
        """Whether the newest image was dropped because its pose is unknown."""
        self._images = MonoInput(node, settings, accounting, self._add)
        self._odometry = self._timer = None
        if isinstance(poses, OdometryPoses):
            self._odometry = AdoptingSubscription(node, Odometry, 'odom', self._on_odometry)
        else:  # tf2_ros does not report the arrival of a transform
            self._timer = node.create_timer(_TF_PERIOD_S, self._deliver_complete)

    @property
    def subscriptions(self) -> Mapping[str, AdoptingSubscription]:
        """Subscriptions by role."""
        odometry = {} if self._odometry is None else {'odometry': self._odometry}
        return {**self._images.subscriptions, **odometry}

    def refresh(self) -> None:
        """Subscribe again where the publishers have changed; drop images that have waited too long."""
        for subscription in self.subscriptions.values():
            subscription.refresh()
        self._deliver_complete()

    def close(self) -> None:
        """Unsubscribe and count the images that were still waiting as dropped."""
        self._images.close()
        if self._odometry is not None:
            self._odometry.close()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        while self._waiting:
            self._waiting.popleft()
            self._accounting.drop(DropReason.SHUTDOWN)

    def _add(self, messages: MonoMessages) -> None:
        if messages.info is None:
            self._accounting.drop(DropReason.NO_CAMERA_INFO)
            self._report(
                'camera_info', 'no camera_info received; depth from motion requires the intrinsics. Publish it'
            )
            return
        self._waiting.append((self._now_ns(), messages.image, messages.info))
        self._deliver_complete()

    def _on_odometry(self, message: Odometry) -> None:
        assert isinstance(self._poses, OdometryPoses)
        self._poses.add(message)
        self._deliver_complete()

    def _deliver_complete(self) -> None:
        """Deliver the images whose pose is known, in order; drop those that have waited too long."""
        while self._waiting:
            arrived_ns, image, info = self._waiting[0]
            pose = self._poses.at(stamp_ns(image.header.stamp), image.header.frame_id or info.header.frame_id)
            waited_ns = self._now_ns() - arrived_ns
            # Simulated time may jump back.
            if isinstance(pose, str) and 0 <= waited_ns <= self._max_wait_ns and len(self._waiting) <= _MAX_WAITING:
                return
            self._waiting.popleft()
            self.pose_lost = isinstance(pose, str)
            if isinstance(pose, str):
                self._accounting.drop(DropReason.NO_POSE)
                self._report('pose lost', f'pose lost: {pose}')
            else:
                self._deliver(MultiviewMessages(image, info, pose))

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
