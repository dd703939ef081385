"""Topics required by ``scale.source`` and the passing of their messages to the scaler."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from depth_ros.errors import BadInput, BadSettings
from depth_ros.messages import reference_messages as convert
from depth_ros.messages.camera_poses import OdometryPoses, mount_of
from depth_ros.multiview.pose_track import TrackedPose
from depth_ros.multiview_pipeline import multiview_estimator
from depth_ros.networks.catalog import find_manifest
from depth_ros.scale.motion_reference import MotionReference
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings

_REFERENCES = {'points': 'PointCloud2', 'scan': 'LaserScan', 'range': 'Range', 'depth': 'Image'}


@dataclass(frozen=True)
class SensorTopic:
    """One topic."""

    role: str
    """What the topic is for, in diagnostics."""
    topic: str
    """Relative name."""
    kind: str
    """Message type."""
    take: Callable[[Any], None]
    """Passes a message to the scaler; raises BadInput if the message is unusable."""
    package: str = 'sensor_msgs'
    """Package of the message type."""


def sensor_topics(settings: MonoSettings, scaler: Scaler) -> list[SensorTopic]:
    """Return the topics for ``scale.source``: ``scale/…`` for a reference, ``imu``, ``odom``, or none."""
    if settings.scale_source == 'motion':
        odometry = _Odometry(settings, scaler)
        return [SensorTopic('odometry', 'odom', 'Odometry', odometry.take, 'nav_msgs')]
    if settings.scale_source == 'ground' and settings.scale_imu:
        return [SensorTopic('imu', 'imu', 'Imu', lambda m: scaler.set_down(convert.down_of_imu(m), m.header.frame_id))]
    if settings.scale_source != 'reference':
        return []
    kind = settings.scale_reference_type
    if kind == 'depth':
        depth = _DepthCamera(scaler)
        return [
            SensorTopic('scale camera_info', 'scale/camera_info', 'CameraInfo', depth.take_info),
            SensorTopic('scale reference', 'scale/reference', _REFERENCES[kind], depth.take_image),
        ]
    points = {'points': convert.points_of_cloud, 'scan': convert.points_of_scan, 'range': convert.points_of_range}[kind]
    return [
        SensorTopic('scale reference', 'scale/reference', _REFERENCES[kind], lambda m: scaler.add_reference(points(m)))
    ]


def check_prompt_source(settings: MonoSettings) -> None:
    """Check that the settings name a source of the measured depth, if the network takes one with every image.

    Raises:
        BadSettings: ``scale.source`` is not ``reference``, or the reference measures a single distance.
        ModelError: the network is unknown.
    """
    if not settings.model or find_manifest(settings.model)[0].prompt_size is None:
        return
    if settings.scale_source != 'reference' or settings.scale_reference_type == 'range':
        raise BadSettings(
            f'{settings.model} takes a measured depth of the scene with every image; scale.source is '
            f'{settings.scale_source} and scale.reference_type is {settings.scale_reference_type}. Set scale.source: '
            'reference, and scale.reference_type to points, scan or depth; a Range is a single distance'
        )


class _Odometry:
    """Odometry that gives the poses of the camera; messages and images come from different threads."""

    def __init__(self, settings: MonoSettings, scaler: Scaler) -> None:
        child_in_camera = mount_of(settings.scale_extrinsics)
        mount = None if child_in_camera is None else np.linalg.inv(child_in_camera).astype(np.float64)
        self._poses = OdometryPoses(mount, scaler.transform, self._raise)
        self._lock = threading.Lock()
        sweep = MultiviewSettings(range_min_m=settings.range_min_m, range_max_m=settings.range_max_m)
        scaler.motion = MotionReference(self._pose_at, multiview_estimator(sweep))

    def take(self, message: Any) -> None:
        with self._lock:
            self._poses.add(message)

    def _pose_at(self, stamp_ns: int, frame_id: str) -> TrackedPose | str:
        with self._lock:
            return self._poses.at(stamp_ns, frame_id)

    @staticmethod
    def _raise(kind: str, text: str) -> None:
        raise BadInput(text)


class _DepthCamera:
    """A reference depth image and its camera_info, which is a separate topic."""

    def __init__(self, scaler: Scaler) -> None:
        self._scaler = scaler
        self._info: Any = None

    def take_info(self, message: Any) -> None:
        self._info = message

    def take_image(self, message: Any) -> None:
        if self._info is None:
            raise BadInput(
                'no scale/camera_info received, so the reference depth image cannot be projected: publish it'
            )
        self._scaler.add_reference(convert.points_of_depth(message, self._info))
