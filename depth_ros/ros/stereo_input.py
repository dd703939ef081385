"""Four topics → stereo messages that belong together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_ros.messages.calibration_lookup import LiveCalibrations
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.messages.stereo_pairing import Outcome, Pair, Side, StereoPairing
from depth_ros.ros.adopting_subscription import AdoptingSubscription, SubscribedInput
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.settings.node_settings import StereoSettings

ImageMessage: TypeAlias = Image | CompressedImage
_TELLING_MISSES = 10
_SIDES: tuple[Side, Side] = ('left', 'right')


@dataclass(frozen=True)
class StereoMessages:
    """A pair of images with the calibration of each."""

    left: ImageMessage
    right: ImageMessage
    left_info: CameraInfo
    right_info: CameraInfo


class StereoInput(SubscribedInput):
    """Subscribes to a stereo camera and hands over what belongs together.

    Args:
        settings: Gives the settings as of now.
        deliver: Told of every complete pair.
        complain: Told of trouble that needs words: kind, text.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], StereoSettings],
        accounting: FrameAccounting,
        deliver: Callable[[StereoMessages], None],
        complain: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self._accounting = accounting
        self._deliver = deliver
        self._complain = complain
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
        """Unsubscribe and account for what still waited."""
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
            self._log.info('time jumped back (a bag that loops?): pairing starts again')
        self._count(outcome.dropped)
        self._explain(outcome)
        if outcome.pair is not None:
            self._accounting.pair(outcome.pair.skew_ns)
            self._deliver_late()
            self._awaiting_info = outcome.pair
            self._deliver_awaiting()

    def _deliver_awaiting(self) -> None:
        """Deliver the pair if its calibrations are here, or need not be waited for."""
        pair = self._awaiting_info
        if pair is None:
            return
        for side, image in zip(_SIDES, (pair.left, pair.right), strict=True):
            infos = self._infos[side]
            if infos.exact(stamp_ns(image.header.stamp)) is None and infos.comes_with_images:
                return
        self._hand_over(pair)

    def _deliver_late(self) -> None:
        """Stop waiting for the calibrations of an older pair: use the last ones, if any, and wait for no more."""
        pair = self._awaiting_info
        if pair is None:
            return
        for infos in self._infos.values():
            infos.stop_waiting()
        self._hand_over(pair)

    def _hand_over(self, pair: Pair[ImageMessage]) -> None:
        self._awaiting_info = None
        left = self._infos['left'].at(stamp_ns(pair.left.header.stamp))
        right = self._infos['right'].at(stamp_ns(pair.right.header.stamp))
        if left is None or right is None:
            side = 'left' if left is None else 'right'
            self._accounting.drop(DropReason.NO_CAMERA_INFO)
            self._complain(
                DropReason.NO_CAMERA_INFO,
                f'no camera_info on {self.subscriptions[f"{side} camera_info"].topic}: without calibration there are '
                'no metres. Publish the camera_info of the calibrated camera, or remap the topic',
            )
            return
        self._deliver(StereoMessages(pair.left, pair.right, left, right))

    def _count(self, dropped: list[tuple[Side, DropReason]]) -> None:
        for side, reason in dropped:
            if side == 'left':
                self._accounting.drop(reason)

    def _explain(self, outcome: Outcome[ImageMessage]) -> None:
        for side, reason in outcome.dropped:
            if reason == DropReason.ZERO_STAMP:
                self._complain(
                    reason,
                    f'{side} image has stamp 0: pairs are found by stamp. Let the driver set header.stamp, or set '
                    'accept_zero_stamps: true to pair by order of arrival',
                )
        if outcome.pair is not None:
            self._misses = 0
        elif outcome.missed_by_ns is not None:
            self._misses += 1
            if self._misses >= _TELLING_MISSES:
                self._complain(
                    'skew',
                    f'left and right images make no pair: their stamps are {outcome.missed_by_ns / 1e6:.1f} ms apart, '
                    f'max_skew_ms is {self._pairing.max_skew_ns / 1e6:g}. Synchronise the cameras; if they are (and '
                    'only their stamps differ), raise max_skew_ms',
                )
