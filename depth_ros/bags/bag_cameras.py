"""Cameras of a recording: turn recorded messages into depth, in the order of the bag, as the nodes do."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, cast

from depth_ros.bags.bag_reader import IMAGES, INFO, ODOMETRY, Bag
from depth_ros.bags.recorded_transforms import RecordedTransforms
from depth_ros.camera_state import CameraState
from depth_ros.errors import BadCameraInfo
from depth_ros.estimators.estimator import AnyEstimator, Estimator, MonoEstimator, MultiviewEstimator
from depth_ros.messages.calibration_lookup import CalibrationLookup, keep_camera_info
from depth_ros.messages.camera_poses import CameraPoses, OdometryPoses, TfPoses, mount_of
from depth_ros.messages.drop_reasons import DropReason
from depth_ros.messages.frames import mono_frame_of, stereo_frame_of
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.messages.scale_sensors import check_prompt_source, sensor_topics
from depth_ros.messages.stereo_pairing import Side, StereoPairing
from depth_ros.messages.topic_names import TopicNames
from depth_ros.multiview.moving_camera import MovingCamera
from depth_ros.multiview_pipeline import multiview_depth_map, multiview_estimator
from depth_ros.pipeline import depth_map, mono_depth_map, mono_estimator, stereo_estimator
from depth_ros.scale.scaler import Scaler, with_prompt
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, NodeSettings, StereoSettings
from depth_ros.types import Calibration, DepthMap, RelativeMap

MessageHandler = Callable[[Any], None]


class BagCamera(Protocol):
    """One camera of a recording; stateful, so its messages must be passed in order."""

    names: TopicNames
    topics: dict[str, str]
    """Topic name before remapping, by topic name in the recording. The messages of the first topic are the frames."""
    setup_handlers: dict[str, MessageHandler]
    """Handlers by topic for messages that are read before all others: calibrations and static transforms."""
    frame_topics: tuple[str, ...]
    """Topics whose messages are passed to ``handle_message``."""
    state: CameraState

    def handle_message(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Process a message; return the recording time and the depth of the frame that it completes, if any.

        Raises:
            BadInput, EstimatorError: this message or frame is unusable.
        """
        ...

    def finish(self) -> None:
        """Count the messages that are still waiting at the end of the bag."""
        ...

    def warnings(self) -> list[str]:
        """Return warnings about the camera."""
        ...


class StereoBagCamera:
    """A stereo pair, processed as by the node ``stereo_depth``."""

    def __init__(self, bag: Bag, names: TopicNames, settings: StereoSettings, estimator: Estimator) -> None:
        self.names = names
        sides: tuple[Side, Side] = ('left', 'right')
        self._sides = {names(f'{side}/image_rect'): side for side in sides}
        infos = {side: names(f'{side}/camera_info') for side in sides}
        bag.require(dict.fromkeys(self._sides, IMAGES) | dict.fromkeys(infos.values(), (INFO,)))
        self.frame_topics = tuple(self._sides)
        relative_names = [f'{side}/{name}' for name in ('image_rect', 'camera_info') for side in sides]
        self.topics = {names(topic): names.full(topic) for topic in relative_names}
        self._infos: dict[Side, CalibrationLookup[Calibration]] = {side: CalibrationLookup() for side in sides}
        self.setup_handlers: dict[str, MessageHandler] = {
            topic: partial(keep_camera_info, self._infos[side]) for side, topic in infos.items()
        }
        self._settings, self._estimator, self._unused = settings, estimator, bag.unused
        self._pairing: StereoPairing[tuple[int, Any]] = StereoPairing(
            round(settings.max_skew_ms * 1e6), settings.accept_zero_stamps
        )
        self.state = CameraState()

    def handle_message(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Add an image to the pairing; estimate the depth of the pair that it completes."""
        outcome = self._pairing.add(self._sides[topic], stamp_ns(message.header.stamp), (recorded_ns, message))
        for _, reason in outcome.dropped:
            self._unused.add(reason)
        if outcome.pair is None:
            return None
        (recorded_ns, left), (_, right) = outcome.pair.left, outcome.pair.right
        stamp = stamp_ns(left.header.stamp)
        left_info, right_info = self._infos['left'].at(stamp), self._infos['right'].at(stamp)
        if left_info is None or right_info is None:
            raise BadCameraInfo('no readable camera_info for this pair; expected one for each side')
        state = self.state
        row_shift = state.rows.correction if self._settings.align_rows else None
        frame = stereo_frame_of(left, right, left_info, right_info, self._settings, state.rectifier, row_shift)
        depth = depth_map(frame, self._estimator, self._settings, state.mask.current(self._settings.filter_mask_file))
        state.rows.observe(frame, recorded_ns / 1e9)
        return recorded_ns, _stabilized(depth, self._settings, state)

    def finish(self) -> None:
        """Count the images that have no partner."""
        for _ in self._pairing.clear():
            self._unused.add(DropReason.UNPAIRED)

    def warnings(self) -> list[str]:
        """Return a warning about the rows, if there is one."""
        return list(filter(None, [self.state.rows.status.warning]))


class MonoBagCamera:
    """A single camera and the sensors that determine its scale, processed as by the node ``mono_depth``."""

    def __init__(self, bag: Bag, names: TopicNames, settings: MonoSettings, estimator: MonoEstimator) -> None:
        self.names = names
        self._image_topic, info_topic = names('image'), names('camera_info')
        bag.require({self._image_topic: IMAGES})
        self._infos: CalibrationLookup[Calibration] = CalibrationLookup()
        self.setup_handlers: dict[str, MessageHandler] = {info_topic: partial(keep_camera_info, self._infos)}
        self._settings, self._estimator = settings, estimator
        transforms = RecordedTransforms()
        self._scaler = Scaler(transforms) if settings.scale_source != 'none' else None
        self._sensor_handlers: dict[str, MessageHandler] = {}
        sensors = sensor_topics(settings, self._scaler) if self._scaler else []
        for sensor in sensors:
            topic = names(sensor.topic)
            bag.require({topic: (f'{sensor.package}/msg/{sensor.kind}',)})
            self._sensor_handlers[topic] = sensor.take
        relative_names = ['image', 'camera_info', *(sensor.topic for sensor in sensors)]
        self.topics = {names(topic): names.full(topic) for topic in relative_names}
        if sensors and not settings.scale_extrinsics:
            self.setup_handlers[names('/tf_static')] = lambda message: transforms.add(message, static=True)
            self._sensor_handlers[names('/tf')] = lambda message: transforms.add(message, static=False)
        self.frame_topics = (self._image_topic, *self._sensor_handlers)
        self.state = CameraState()

    def handle_message(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Estimate the depth of an image; pass a sensor message to its handler."""
        if topic != self._image_topic:
            self._sensor_handlers[topic](message)
            return None
        info = self._infos.at(stamp_ns(message.header.stamp))
        frame = mono_frame_of(message, info, self._settings, self.state.rectifier)
        mask = self.state.mask.current(self._settings.filter_mask_file)
        frame, scaler = with_prompt(frame, self._estimator, self._scaler, self._settings)
        result = mono_depth_map(frame, self._estimator, self._settings, scaler, mask)
        if isinstance(result, RelativeMap):
            return recorded_ns, self.state.relative_scaler.apply(result, self._settings.relative_scaling)
        return recorded_ns, _stabilized(result, self._settings, self.state)

    def finish(self) -> None:
        """Do nothing: single images do not wait for other messages."""

    def warnings(self) -> list[str]:
        """Return nothing."""
        return []


class MultiviewBagCamera:
    """A moving camera, processed as by the node ``multiview_depth``. Its poses are read before the images."""

    def __init__(self, bag: Bag, names: TopicNames, settings: MultiviewSettings, estimator: MultiviewEstimator) -> None:
        self.names = names
        image_topic, info_topic, odometry_topic = names('image'), names('camera_info'), names('odom')
        bag.require({image_topic: IMAGES, info_topic: (INFO,)})
        self._settings, self._estimator, self._unused = settings, estimator, bag.unused
        self._infos: CalibrationLookup[Calibration] = CalibrationLookup()
        transforms = RecordedTransforms(math.inf)
        self.topics = {image_topic: names.full('image'), info_topic: names.full('camera_info')}
        self.setup_handlers: dict[str, MessageHandler] = {
            info_topic: partial(keep_camera_info, self._infos),
            names('/tf_static'): partial(transforms.add, static=True),
            names('/tf'): partial(transforms.add, static=False),
        }
        self._problems: dict[str, str] = {}
        """First problem of each kind."""
        self._poses: CameraPoses
        if settings.pose_source == 'tf':
            self._poses = TfPoses(settings.fixed_frame, transforms.at_stamp, self._report, math.inf)
        else:
            bag.require({odometry_topic: (ODOMETRY,)})
            mount = mount_of(settings.extrinsics)
            self._poses = odometry = OdometryPoses(mount, transforms, self._report, settings.max_pose_age_s, math.inf)
            self.setup_handlers[odometry_topic] = odometry.add
            self.topics[odometry_topic] = names.full('odom')
        self.frame_topics: tuple[str, ...] = (image_topic,)
        self.state = CameraState()
        self._moving = MovingCamera(settings.keyframe_max_age_s)

    def handle_message(self, topic: str, recorded_ns: int, message: Any) -> tuple[int, DepthMap | RelativeMap] | None:
        """Estimate the depth of an image, if its pose is known and the camera has moved."""
        info = self._infos.at(stamp_ns(message.header.stamp))
        frame = mono_frame_of(message, info, self._settings, self.state.rectifier)
        pose = self._poses.at(frame.stamp_ns, frame.frame_id)
        if isinstance(pose, str):
            self._report(DropReason.NO_POSE, f'images without a pose: {pose}')
            self._unused.add(DropReason.NO_POSE)
            return None
        mask = self.state.mask.current(self._settings.filter_mask_file)
        depth = multiview_depth_map(frame, pose, self._moving, self._estimator, self._settings, mask)
        if depth is None:
            self._unused.add(DropReason.NO_PARALLAX)
            return None
        return recorded_ns, _stabilized(depth, self._settings, self.state)

    def finish(self) -> None:
        """Do nothing: an image whose pose is unknown was counted at once."""

    def warnings(self) -> list[str]:
        """Return what was wrong with the poses: the first problem of each kind."""
        return list(self._problems.values())

    def _report(self, kind: str, text: str) -> None:
        self._problems.setdefault(kind, text)


def _stabilized(depth: DepthMap, settings: Settings, state: CameraState) -> DepthMap:
    """Return the map after the temporal filter, if that filter is enabled."""
    return state.stabilizer.apply(depth) if settings.filter_temporal else depth


def load_estimator(settings: NodeSettings) -> AnyEstimator:
    """Return the estimator of the node to which the settings belong.

    Raises:
        BadSettings: the network takes a measured depth, and no source of it is set.
        ModelError, InferenceError: the network is unusable.
    """
    if isinstance(settings, StereoSettings):
        return stereo_estimator(settings)
    if isinstance(settings, MultiviewSettings):
        return multiview_estimator(settings)
    check_prompt_source(settings)
    return mono_estimator(settings)


@contextmanager
def open_cameras(
    bag: Bag, settings: NodeSettings, names: Iterable[TopicNames], estimator: AnyEstimator | None = None
) -> Iterator[Sequence[BagCamera]]:
    """Yield one camera for each set of topic names; they share one estimator, which is closed on exit.

    Args:
        bag: The recording.
        settings: Settings of the node.
        names: Topic names of the cameras.
        estimator: Estimator of ``load_estimator`` for these settings, which remains open; None = loaded for this bag.

    Raises:
        BadFile: a topic is missing or has an unexpected type.
        BadSettings: the network takes a measured depth, and no source of it is set.
        ModelError, InferenceError: the network is unusable.
    """
    with closing(load_estimator(settings)) if estimator is None else nullcontext(estimator) as used:
        cameras: list[BagCamera]
        if isinstance(settings, MonoSettings):
            cameras = [MonoBagCamera(bag, each, settings, cast(MonoEstimator, used)) for each in names]
        elif isinstance(settings, MultiviewSettings):
            cameras = [MultiviewBagCamera(bag, each, settings, cast(MultiviewEstimator, used)) for each in names]
        else:
            cameras = [StereoBagCamera(bag, each, settings, cast(Estimator, used)) for each in names]
        yield set_up_cameras(bag, cameras)


def set_up_cameras(bag: Bag, cameras: Sequence[BagCamera]) -> Sequence[BagCamera]:
    """Read the calibrations and static transforms of the whole bag; return the cameras."""
    for topic, _, message in bag.messages(*(topic for camera in cameras for topic in camera.setup_handlers)):
        for camera in cameras:
            if topic in camera.setup_handlers:
                camera.setup_handlers[topic](message)
    return cameras
