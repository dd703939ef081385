"""Topics required by ``scale.source`` and the passing of their messages to the scaler."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from depth_ros.errors import BadInput, BadSettings
from depth_ros.messages import reference_messages as convert
from depth_ros.networks.catalog import find_manifest
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings

_REFERENCES = {'points': 'PointCloud2', 'scan': 'LaserScan', 'range': 'Range', 'depth': 'Image'}


@dataclass(frozen=True)
class SensorTopic:
    """One topic."""

    role: str
    """What the topic is for, in diagnostics."""
    topic: str
    """Relative name."""
    kind: str
    """Message type of sensor_msgs."""
    take: Callable[[Any], None]
    """Passes a message to the scaler; raises BadInput if the message is unusable."""


def sensor_topics(settings: MonoSettings, scaler: Scaler) -> list[SensorTopic]:
    """Return the topics for ``scale.source``: ``scale/reference`` (and ``scale/camera_info``), ``imu``, or none."""
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
