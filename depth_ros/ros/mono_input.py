"""Image and camera_info topics → images with their calibration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_ros.messages.calibration_lookup import LiveCalibrations
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.ros.node_input import SubscribedInput
from depth_ros.settings.common_settings import Settings

ImageMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class MonoMessages:
    """One image and its calibration; None if no camera_info was received."""

    image: ImageMessage
    info: CameraInfo | None


class MonoInput(SubscribedInput):
    """Subscribes to one camera.

    An image waits for the calibration with its stamp until the next image at most. Without any calibration it is
    delivered alone, because some networks need none.
    """

    def __init__(
        self, node: Node, settings: Settings, accounting: FrameAccounting, deliver: Callable[[MonoMessages], None]
    ) -> None:
        super().__init__()
        self._accounting = accounting
        self._deliver = deliver
        self._infos: LiveCalibrations[CameraInfo] = LiveCalibrations()
        self._waiting: ImageMessage | None = None
        kind, suffix = (Image, '') if settings.image_transport == 'raw' else (CompressedImage, '/compressed')
        self.subscriptions = {
            'image': AdoptingSubscription(node, kind, f'image{suffix}', self._on_image),
            'camera_info': AdoptingSubscription(node, CameraInfo, 'camera_info', self._on_info),
        }

    def close(self) -> None:
        """Unsubscribe and count the image that was still waiting as dropped."""
        super().close()
        if self._waiting is not None:
            self._accounting.drop(DropReason.SHUTDOWN)
            self._waiting = None

    def _on_image(self, message: ImageMessage) -> None:
        self._accounting.receive()
        if self._waiting is not None:
            self._infos.stop_waiting()
            self._deliver_image(self._waiting)
        self._waiting = message
        self._deliver_if_complete()

    def _on_info(self, message: CameraInfo) -> None:
        self._infos.add(stamp_ns(message.header.stamp), message)
        self._deliver_if_complete()

    def _deliver_if_complete(self) -> None:
        if self._waiting is None:
            return
        info = self._infos.exact(stamp_ns(self._waiting.header.stamp))
        if info is not None or not self._infos.comes_with_images:
            self._deliver_image(self._waiting)

    def _deliver_image(self, image: ImageMessage) -> None:
        self._waiting = None
        self._deliver(MonoMessages(image, self._infos.at(stamp_ns(image.header.stamp))))
