"""Checks of observed topics: each topic alone, clocks, pairs and node names."""

from collections.abc import Iterator

import numpy as np

from depth_ros.doctor.finding import Finding, Level
from depth_ros.doctor.image_checks import calibration_findings, content_findings
from depth_ros.doctor.observations import Observations, ObservedTopic
from depth_ros.doctor.pose_checks import pose_findings
from depth_ros.messages.similar_topic import remap_to, similar_topic
from depth_ros.messages.stamps import apart_ns
from depth_ros.settings.node_settings import MultiviewSettings, NodeSettings, StereoSettings

_MIN_RATE_HZ = 1.0
_MAX_RATE_DIFFERENCE = 0.2
"""Largest difference between the rates of left and right, relative to the higher one."""
_MAX_AGE_S, _MAX_AHEAD_S = 2.0, 0.1
_LEVELS: dict[int, Level] = {0: 'ok', 1: 'warning'}
"""Level of a finding by level of diagnostic_msgs/DiagnosticStatus; all others are faults."""
_NS = 1e9


def graph_findings(observations: Observations, settings: NodeSettings) -> Iterator[Finding]:
    """Check the observed graph for a node with these settings."""
    for topic in observations.topics:
        yield from _topic_findings(topic, observations)
    yield from _clock_findings(observations)
    if isinstance(settings, StereoSettings):
        yield from _pair_findings(observations, settings)
    if isinstance(settings, MultiviewSettings):
        yield from pose_findings(observations, settings)
    calibrated = True
    for finding in calibration_findings(observations, settings):
        calibrated &= finding.level != 'fault'
        yield finding
    if calibrated:
        yield from content_findings(observations, settings)
    for name, count in observations.duplicate_names.items():
        yield Finding(
            'warning',
            'name',
            name,
            f'{count} nodes have this name',
            'parameters, services and lifecycle transitions reach only one of them, and their outputs are mixed',
            'stop all but one, or start them in different namespaces: -r __ns:=/other',
        )
    for name, (level, status) in observations.diagnostics.items():
        yield Finding(_LEVELS.get(level, 'fault'), 'node', name, f'running; its status: {status}')


def _topic_findings(topic: ObservedTopic, observations: Observations) -> Iterator[Finding]:
    level: Level = 'fault' if topic.required else 'warning'
    if not topic.publishers:
        yield Finding(
            level,
            'topic',
            topic.topic,
            f'no publisher ({topic.role})',
            'the node needs this topic' if topic.required else 'the node works without this topic, with fewer outputs',
            _remap(topic, observations),
        )
        return
    if topic.types and topic.kind not in topic.types:
        fix = _remap(topic, observations)
        if topic.types == ['sensor_msgs/msg/CompressedImage']:
            fix = 'set image_transport: compressed, and give the topic name without /compressed'
        yield Finding(
            'fault',
            'type',
            topic.topic,
            f'type is {", ".join(topic.types)}; expected {topic.kind}',
            'the node cannot subscribe to it',
            fix,
        )
        return
    if topic.incompatible:
        yield Finding(
            'fault',
            'qos',
            topic.topic,
            f'the QoS policy {topic.incompatible} of a publisher is incompatible with that of the node',
            'the middleware delivers no message',
            f'remove qos_overrides.{topic.topic}.subscription from the parameters, or set it to the policy that '
            'ros2 topic info --verbose prints',
        )
        return
    if not topic.arrived_s:
        yield Finding(
            level,
            'silent',
            topic.topic,
            f'no message received in {observations.seconds:.0f} s; publisher: {", ".join(topic.publishers)}',
            'the driver publishes nothing, or its messages are too large for the transport',
            'check that the camera is running (ros2 topic hz) and that its driver uses the profile config/fastdds.xml',
        )
        return
    yield from _traffic_findings(topic)


def _traffic_findings(topic: ObservedTopic) -> Iterator[Finding]:
    if len(set(topic.publishers)) > 1:
        yield Finding(
            'warning',
            'publishers',
            topic.topic,
            f'several publishers: {", ".join(topic.publishers)}',
            'their messages are mixed',
            'stop all but one, or remap them',
        )
    rate = topic.rate_hz
    size = f'{topic.largest_bytes / 1e6:.2f} MB each' if topic.largest_bytes > 100_000 else ''
    reliability = 'best effort' if topic.best_effort else 'reliable'
    traffic = ', '.join(filter(None, [f'{rate:.1f} Hz' if rate else 'one message', size, reliability]))
    if 'image' in topic.role and (rate is None or rate < _MIN_RATE_HZ):
        yield Finding(
            'warning',
            'rate',
            topic.topic,
            traffic,
            'the rate of depth is limited by the rate of images',
            'check the camera, and the transport findings below',
        )
    else:
        yield Finding('ok', 'rate', topic.topic, traffic)
    gaps = np.diff(topic.stamps_ns)
    if (gaps < 0).any():
        yield Finding(
            'warning',
            'stamps',
            topic.topic,
            f'stamps went backwards {int((gaps < 0).sum())} times',
            'older images are dropped, and the pairing of images restarts',
            'check whether a bag is played in a loop, or two drivers publish the topic',
        )


def _remap(topic: ObservedTopic, observations: Observations) -> str:
    """Return the launch argument for the topic of the same type with the most similar name."""
    candidates = [name for name, kind in observations.published.items() if kind == topic.kind and name != topic.topic]
    similar = similar_topic(topic.argument, topic.topic, candidates)
    if similar is None:
        return f'start the driver, or check ROS_DOMAIN_ID and ROS_LOCALHOST_ONLY: no {topic.kind} is published here'
    return remap_to(topic.argument, similar)


def _clock_findings(observations: Observations) -> Iterator[Finding]:
    if observations.sim_time and not observations.clock:
        yield Finding(
            'warning',
            'clock',
            '/clock',
            'use_sim_time is true, but /clock has no publisher',
            'ages are invalid, and max_age_s does not work',
            'ros2 bag play --clock, or set use_sim_time: false',
        )
    elif observations.clock and not observations.sim_time:
        yield Finding(
            'warning',
            'clock',
            '/clock',
            '/clock has a publisher, but use_sim_time is false',
            'ages are computed with the system clock instead of /clock',
            'set use_sim_time: true',
        )
    for topic in observations.topics:
        if 'image' not in topic.role or not topic.stamps_ns:
            continue
        if not any(topic.stamps_ns):
            yield Finding(
                'warning',
                'clock',
                topic.topic,
                'all stamps are 0',
                'ages are unknown, and images cannot be paired',
                'configure the driver to set header.stamp',
            )
            continue
        age_s = float(np.median(topic.ages_s))
        if age_s > _MAX_AGE_S or age_s < -_MAX_AHEAD_S:
            direction = 'old' if age_s > 0 else 'ahead of the clock of this machine'
            yield Finding(
                'warning',
                'clock',
                topic.topic,
                f'its images are {abs(age_s):.1f} s {direction}',
                'the clocks of two machines differ, or a recording is played: ages are wrong, and tf lookups fail',
                'synchronise the clocks of all machines (chrony); for recordings use --clock and use_sim_time: true',
            )


def _pair_findings(observations: Observations, settings: StereoSettings) -> Iterator[Finding]:
    left, right = observations.of('left image'), observations.of('right image')
    if left is None or right is None or not left.stamps_ns or not right.stamps_ns:
        return
    about = f'{left.topic}, {right.topic}'
    if not any(left.stamps_ns) or not any(right.stamps_ns):
        if not settings.accept_zero_stamps:
            yield Finding(
                'fault',
                'skew',
                about,
                'images have stamp 0',
                'left and right images are paired by stamp',
                'configure the driver to set header.stamp, or set accept_zero_stamps: true',
            )
        return
    apart_ms = float(np.median(apart_ns(left.stamps_ns, right.stamps_ns))) / 1e6
    if apart_ms > settings.max_skew_ms:
        yield Finding(
            'fault',
            'skew',
            about,
            f'stamps are {apart_ms:.1f} ms apart (median); max_skew_ms is {settings.max_skew_ms:g}',
            'images without a partner are dropped',
            'trigger both cameras at the same time; if they are and only the stamps differ, set '
            f'max_skew_ms: {int(apart_ms * 1.5) + 1}',
        )
    else:
        yield Finding('ok', 'skew', about, f'stamps are {apart_ms:.1f} ms apart (median)')
    rates = left.rate_hz, right.rate_hz
    if rates[0] and rates[1] and abs(rates[0] - rates[1]) > _MAX_RATE_DIFFERENCE * max(rates[0], rates[1]):
        yield Finding(
            'warning',
            'rate',
            about,
            f'{rates[0]:.1f} Hz left, {rates[1]:.1f} Hz right',
            'images without a partner are dropped',
            'check the slower camera, and the transport findings below',
        )
