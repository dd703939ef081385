"""Image and camera_info topics of a stereo camera → pairs with their calibrations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_ros.messages.calibration_lookup import LiveCalibrations
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.messages.stereo_pairing import Outcome, Pair, Side, StereoPairing
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.ros.node_input import SubscribedInput
from depth_ros.settings.node_settings import StereoSettings

ImageMessage: TypeAlias = Image | CompressedImage
_MAX_UNREPORTED_MISSES = 10
_SIDES: tuple[Side, Side] = ('left', 'right')


@dataclass(frozen=True)
class StereoMessages:
    """A pair of images with their calibrations."""

    left: ImageMessage
    right: ImageMessage
    left_info: CameraInfo
    right_info: CameraInfo


class StereoInput(SubscribedInput):
    """Subscribes to a stereo camera and delivers complete pairs.

    Args:
        node: The node that subscribes.
        settings: Returns the current settings.
        accounting: Counts received and dropped frames.
        deliver: Called with every complete pair.
        report: Called with kind and text of a problem.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], StereoSettings],
        accounting: FrameAccounting,
        deliver: Callable[[StereoMessages], None],
        report: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self._accounting = accounting
        self._deliver = deliver
        self._report = report
        self._log = node.get_logger()
        self._settings = settings
        self._pairing: StereoPairing[ImageMessage] = StereoPairing()
        self._infos: dict[Side, LiveCalibrations[CameraInfo]] = {s: LiveCalibrations() for s in _SIDES}
        self._awaiting_info: Pair[ImageMessage] | None = None
        self._misses = 0
        image_type, suffix = (Image, '') if settings().image_transport == 'raw' else (CompressedImage, '/compressed')
        self._subscribe(node, 'left', image_type, suffix, self._left_image)
        self._subscribe(node, 'right', image_type, suffix, self._right_image)

    def close(self) -> None:
        """Unsubscribe and count the pairs that were still waiting as dropped."""
        super().close()
        self._count(self._pairing.clear())
        if self._awaiting_info is not None:
            self._accounting.drop(DropReason.SHUTDOWN)
            self._awaiting_info = None

    def _subscribe(
        self, node: Node, side: Side, image_type: type, suffix: str, on_image: Callable[[ImageMessage], None]
    ) -> None:
        def on_info(message: CameraInfo) -> None:
            self._infos[side].add(stamp_ns(message.header.stamp), message)
            self._deliver_awaiting()

        image_topic, info_topic = f'{side}/image_rect{suffix}', f'{side}/camera_info'
        self.subscriptions[f'{side} image'] = AdoptingSubscription(node, image_type, image_topic, on_image)
        self.subscriptions[f'{side} camera_info'] = AdoptingSubscription(node, CameraInfo, info_topic, on_info)

    def _left_image(self, message: ImageMessage) -> None:
        self._accounting.receive()
        self._image('left', message)

    def _right_image(self, message: ImageMessage) -> None:
        self._image('right', message)

    def _image(self, side: Side, message: ImageMessage) -> None:
        settings = self._settings()
        self._pairing.max_skew_ns = int(settings.max_skew_ms * 1e6)
        self._pairing.accept_zero_stamps = settings.accept_zero_stamps
        outcome = self._pairing.add(side, stamp_ns(message.header.stamp), message)
        if outcome.jumped_back:
            self._log.info('time jumped back, for example because a bag loops: pairing starts again')
        self._count(outcome.dropped)
        self._report_misses(outcome)
        if outcome.pair is not None:
            self._accounting.pair(outcome.pair.skew_ns)
            self._deliver_late()
            self._awaiting_info = outcome.pair
            self._deliver_awaiting()

    def _deliver_awaiting(self) -> None:
        """Deliver the waiting pair if its calibrations were received or need not be awaited."""
        pair = self._awaiting_info
        if pair is None:
            return
        for side, image in zip(_SIDES, (pair.left, pair.right), strict=True):
            infos = self._infos[side]
            if infos.exact(stamp_ns(image.header.stamp)) is None and infos.comes_with_images:
                return
        self._deliver_pair(pair)

    def _deliver_late(self) -> None:
        """Deliver an older pair that waits for its calibrations with the latest ones, and do not wait for any more."""
        pair = self._awaiting_info
        if pair is None:
            return
        for infos in self._infos.values():
            infos.stop_waiting()
        self._deliver_pair(pair)

    def _deliver_pair(self, pair: Pair[ImageMessage]) -> None:
        self._awaiting_info = None
        left = self._infos['left'].at(stamp_ns(pair.left.header.stamp))
        right = self._infos['right'].at(stamp_ns(pair.right.header.stamp))
        if left is None or right is None:
            side = 'left' if left is None else 'right'
            self._accounting.drop(DropReason.NO_CAMERA_INFO)
            self._report(
                DropReason.NO_CAMERA_INFO,
                f'no camera_info on {self.subscriptions[f"{side} camera_info"].topic}: metric depth requires a '
                'calibration. Publish the camera_info of the calibrated camera, or remap the topic',
            )
            return
        self._deliver(StereoMessages(pair.left, pair.right, left, right))

    def _count(self, dropped: list[tuple[Side, DropReason]]) -> None:
        for side, reason in dropped:
            if side == 'left':
                self._accounting.drop(reason)

    def _report_misses(self, outcome: Outcome[ImageMessage]) -> None:
        for side, reason in outcome.dropped:
            if reason == DropReason.ZERO_STAMP:
                self._report(
                    reason,
                    f'{side} image has stamp 0, but images are paired by stamp. Configure the driver to set '
                    'header.stamp, or set accept_zero_stamps: true to pair images in order of arrival',
                )
        if outcome.pair is not None:
            self._misses = 0
        elif outcome.missed_by_ns is not None:
            self._misses += 1
            if self._misses >= _MAX_UNREPORTED_MISSES:
                self._report(
                    'skew',
                    f'left and right images cannot be paired: their stamps differ by {outcome.missed_by_ns / 1e6:.1f} '
                    f'ms, max_skew_ms is {self._pairing.max_skew_ns / 1e6:g}. Synchronise the cameras; if they are '
                    'synchronised and only their stamps differ, increase max_skew_ms',
                )
