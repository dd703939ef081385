"""The cameras of a recording: messages in the order of the bag → depth, as the node of each would see it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Protocol

from depth_ros.bags.bag_reader import IMAGES, INFO, Bag
from depth_ros.bags.recorded_transforms import Transforms
from depth_ros.camera_state import CameraState
from depth_ros.errors import BadCameraInfo
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.messages.calibration_lookup import CalibrationLookup, keep_camera_info
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.frames import mono_frame_of, stereo_frame_of
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.messages.scale_sensors import sensor_topics
from depth_ros.messages.stereo_pairing import Side, StereoPairing
from depth_ros.messages.topic_names import TopicNames
from depth_ros.pipeline import depth_map, mono_depth_map, mono_estimator, stereo_estimator
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.types import Calibration, DepthMap, RelativeMap


class BagCamera(Protocol):
    """One camera; stateful, so its messages must come in order."""

    names: TopicNames
    topics: dict[str, str]
    """Name before remapping, by name in the recording; the messages of the first one count the frames."""
    known_first: dict[str, Callable[[Any], None]]
    """Takers of topics that say how things are, and are read before the rest: calibrations, static transforms."""
    streamed: tuple[str, ...]
    """What ``take`` wants to see."""
    state: CameraState

    def take(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Take a message; return the time of recording and the depth of the frame that it completes.

        Raises:
            BadInput, EstimatorError: this message or frame is of no use.
        """
        ...

    def finish(self) -> None:
        """Count what still waited for something when the bag ended."""
        ...


class StereoBagCamera:
    """As ``stereo_depth``."""

    def __init__(self, bag: Bag, names: TopicNames, settings: StereoSettings, estimator: Estimator) -> None:
        self.names = names
        sides: tuple[Side, Side] = ('left', 'right')
        self._sides = {names(f'{side}/image_rect'): side for side in sides}
        infos = {side: names(f'{side}/camera_info') for side in sides}
        bag.require(dict.fromkeys(self._sides, IMAGES) | dict.fromkeys(infos.values(), (INFO,)))
        self.streamed = tuple(self._sides)
        own = [f'{side}/{name}' for name in ('image_rect', 'camera_info') for side in sides]
        self.topics = {names(topic): names.full(topic) for topic in own}
        self._infos: dict[Side, CalibrationLookup[Calibration]] = {side: CalibrationLookup() for side in sides}
        self.known_first: dict[str, Callable[[Any], None]] = {
            topic: partial(keep_camera_info, self._infos[side]) for side, topic in infos.items()
        }
        self._settings, self._estimator, self._drop = settings, estimator, bag.trouble.add
        self._pairing: StereoPairing[tuple[int, Any]] = StereoPairing(
            round(settings.max_skew_ms * 1e6), settings.accept_zero_stamps
        )
        self.state = CameraState()

    def take(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Pair an image; measure the pair."""
        outcome = self._pairing.add(self._sides[topic], stamp_ns(message.header.stamp), (recorded_ns, message))
        for _, reason in outcome.dropped:
            self._drop(reason)
        if outcome.pair is None:
            return None
        (recorded_ns, left), (_, right) = outcome.pair.left, outcome.pair.right
        stamp = stamp_ns(left.header.stamp)
        left_info, right_info = self._infos['left'].at(stamp), self._infos['right'].at(stamp)
        if left_info is None or right_info is None:
            raise BadCameraInfo('there is no readable camera_info for a pair')
        frame = stereo_frame_of(left, right, left_info, right_info, self._settings, self.state.rectifier)
        mask = self.state.mask.current(self._settings.filter_mask_file)
        depth = depth_map(frame, self._estimator, self._settings, mask)
        return recorded_ns, _steady(depth, self._settings, self.state)

    def finish(self) -> None:
        """Count the images without a partner."""
        for _ in self._pairing.clear():
            self._drop(DropReason.UNPAIRED)


class MonoBagCamera:
    """As ``mono_depth``, with the sensors of its scale."""

    def __init__(self, bag: Bag, names: TopicNames, settings: MonoSettings, estimator: MonoEstimator) -> None:
        self.names = names
        self._image, info = names('image'), names('camera_info')
        bag.require({self._image: IMAGES})
        self._infos: CalibrationLookup[Calibration] = CalibrationLookup()
        self.known_first: dict[str, Callable[[Any], None]] = {info: partial(keep_camera_info, self._infos)}
        self._settings, self._estimator = settings, estimator
        transforms = Transforms()
        self._scaler = Scaler(transforms) if settings.scale_source != 'none' else None
        self._takers: dict[str, Callable[[Any], None]] = {}
        sensors = sensor_topics(settings, self._scaler) if self._scaler else []
        for sensor in sensors:
            topic = names(sensor.topic)
            bag.require({topic: (f'sensor_msgs/msg/{sensor.kind}',)})
            self._takers[topic] = sensor.take
        own = ['image', 'camera_info', *(sensor.topic for sensor in sensors)]
        self.topics = {names(topic): names.full(topic) for topic in own}
        if sensors and not settings.scale_extrinsics:
            self.known_first[names('/tf_static')] = lambda message: transforms.add(message, static=True)
            self._takers[names('/tf')] = lambda message: transforms.add(message, static=False)
        self.streamed = (self._image, *self._takers)
        self.state = CameraState()

    def take(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Estimate an image; hand over what a sensor says."""
        if topic != self._image:
            self._takers[topic](message)
            return None
        info = self._infos.at(stamp_ns(message.header.stamp))
        frame = mono_frame_of(message, info, self._settings, self.state.rectifier)
        mask = self.state.mask.current(self._settings.filter_mask_file)
        seen = mono_depth_map(frame, self._estimator, self._settings, self._scaler, mask)
        return recorded_ns, _steady(seen, self._settings, self.state)

    def finish(self) -> None:
        """Do nothing: no image waits."""


def _steady(seen: DepthMap | RelativeMap, settings: Settings, state: CameraState) -> DepthMap | RelativeMap:
    """Stabilise a map, where that is wanted."""
    return state.stabilizer.apply(seen) if settings.filter_temporal and isinstance(seen, DepthMap) else seen


@contextmanager
def cameras_of(
    bag: Bag, settings: MonoSettings | StereoSettings, names: Iterable[TopicNames]
) -> Iterator[Sequence[BagCamera]]:
    """Yield one camera for each set of topic names; they share one estimator, which is closed at the end.

    Raises:
        BadFile: a topic is missing or of another type.
        ModelError, InferenceError: the network cannot be used.
    """
    if isinstance(settings, MonoSettings):
        with closing(mono_estimator(settings)) as mono:
            yield _calibrated(bag, [MonoBagCamera(bag, each, settings, mono) for each in names])
    else:
        with closing(stereo_estimator(settings)) as stereo:
            yield _calibrated(bag, [StereoBagCamera(bag, each, settings, stereo) for each in names])


def _calibrated(bag: Bag, cameras: Sequence[BagCamera]) -> Sequence[BagCamera]:
    """Read what is to be known first."""
    for topic, _, message in bag.messages(*(topic for camera in cameras for topic in camera.known_first)):
        for camera in cameras:
            if topic in camera.known_first:
                camera.known_first[topic](message)
    return cameras
