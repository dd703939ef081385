"""Checks of the poses that depth from a moving camera needs: odometry, frames, stamps, mounting."""

import math
from collections.abc import Iterator

import numpy as np

from depth_ros.doctor.finding import Finding
from depth_ros.doctor.observations import Observations, ObservedTopic
from depth_ros.messages.stamps import apart_ns
from depth_ros.settings.node_settings import MultiviewSettings

_NO_DEPTH = 'images without a pose are dropped'
_MOUNTING_FIX = (
    'set extrinsics to the pose of the optical frame, or publish the transform (robot_state_publisher, or '
    'static_transform_publisher) and install tf2_ros'
)


def pose_findings(observations: Observations, settings: MultiviewSettings) -> Iterator[Finding]:
    """Check the source of the poses together with the images."""
    image, odometry = observations.of('image'), observations.of('odometry')
    if odometry is not None and odometry.last is not None:
        yield from _message_findings(odometry, settings)
        if image is not None and len(image.stamps_ns) and len(odometry.stamps_ns):
            yield _stamp_finding(image, odometry, settings)
    if observations.missing_transform is not None:
        target, source = observations.missing_transform
        if settings.pose_source == 'tf':
            what, fix = (
                f"tf has no pose of the camera '{source}' in fixed_frame '{target}'",
                ('set fixed_frame to the frame of the odometry (ros2 run tf2_tools view_frames), and install tf2_ros'),
            )
        else:
            what, fix = f"the camera '{source}' is not mounted on the child frame '{target}' in tf", _MOUNTING_FIX
        yield Finding('fault', 'mounting', source, what, 'the pose of the camera is unknown', fix)
    elif settings.extrinsics:
        yield Finding('ok', 'mounting', 'extrinsics', settings.extrinsics)


def _message_findings(odometry: ObservedTopic, settings: MultiviewSettings) -> Iterator[Finding]:
    message = odometry.last
    frames = f"'{message.child_frame_id}' in '{message.header.frame_id}'"
    if not message.child_frame_id and not settings.extrinsics:
        yield Finding(
            'fault',
            'child_frame',
            odometry.topic,
            'child_frame_id is empty',
            'the mounting of the camera cannot be looked up',
            'configure the odometry to set child_frame_id (usually base_link), or set extrinsics',
        )
    else:
        yield Finding('ok', 'child_frame', odometry.topic, f'pose of {frames}')
    pose = message.pose.pose
    position = (pose.position.x, pose.position.y, pose.position.z)
    length = math.hypot(pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w)
    if not all(map(math.isfinite, position)) or not abs(length - 1) <= 0.01:
        yield Finding(
            'fault',
            'pose',
            odometry.topic,
            f'the position is {position}, and the quaternion has the length {length:.3g}',
            'poses that are not finite or whose quaternion is not of length 1 are not used',
            'check the node that publishes the odometry',
        )


def _stamp_finding(image: ObservedTopic, odometry: ObservedTopic, settings: MultiviewSettings) -> Finding:
    about = f'{image.topic}, {odometry.topic}'
    period_s = float(np.median(np.diff(odometry.stamps_ns))) / 1e9 if len(odometry.stamps_ns) > 1 else 0.0
    if period_s > settings.max_pose_age_s:
        return Finding(
            'fault',
            'pose_rate',
            odometry.topic,
            f'poses are {period_s:.2f} s apart; max_pose_age_s is {settings.max_pose_age_s:g}',
            _NO_DEPTH,
            f'increase the rate of the odometry, or set max_pose_age_s: {1.5 * period_s:.2g}',
        )
    apart_s = float(np.median(apart_ns(image.stamps_ns, odometry.stamps_ns))) / 1e9
    if apart_s > settings.max_pose_age_s:
        return Finding(
            'fault',
            'pose_stamps',
            about,
            f'stamps are {apart_s:.2f} s apart (median); max_pose_age_s is {settings.max_pose_age_s:g}',
            _NO_DEPTH,
            'synchronise the clocks of both machines, and check that both drivers use the same clock',
        )
    return Finding('ok', 'pose_stamps', about, f'stamps are {1e3 * apart_s:.1f} ms apart (median)')
