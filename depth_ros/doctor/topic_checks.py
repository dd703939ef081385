"""What was seen of the topics → findings about each, and about what they have to do with each other."""

from collections.abc import Iterator

import numpy as np

from depth_ros.doctor.finding import Finding, Level
from depth_ros.doctor.image_checks import calibration_findings, content_findings
from depth_ros.doctor.observations import Observations, ObservedTopic
from depth_ros.messages.similar_topic import remap_to, similar_topic
from depth_ros.messages.stamps import apart_ns
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

_SLOW_HZ = 1.0
_RATES_APART = 0.2
_LATE_S, _EARLY_S = 2.0, 0.1
_LEVELS: dict[int, Level] = {0: 'ok', 1: 'warning'}
"""Of diagnostic_msgs/DiagnosticStatus; the others are errors."""
_NS = 1e9


def graph_findings(seen: Observations, settings: MonoSettings | StereoSettings) -> Iterator[Finding]:
    """Judge a graph as a node with these settings would find it."""
    for topic in seen.topics:
        yield from _topic_findings(topic, seen)
    yield from _clock_findings(seen)
    if isinstance(settings, StereoSettings):
        yield from _pair_findings(seen, settings)
    calibrated = True
    for finding in calibration_findings(seen, settings):
        calibrated &= finding.level != 'fault'
        yield finding
    if calibrated:
        yield from content_findings(seen, settings)
    for name, count in seen.namesakes.items():
        yield Finding(
            'warning',
            'name',
            name,
            f'{count} nodes have this name',
            'parameters, services and lifecycle transitions reach only one of them, and their outputs are mixed',
            'stop all but one, or start them in namespaces of their own: -r __ns:=/other',
        )
    for name, (level, sentence) in seen.diagnostics.items():
        yield Finding(_LEVELS.get(level, 'fault'), 'node', name, f'it runs, and says: {sentence}')


def _topic_findings(topic: ObservedTopic, seen: Observations) -> Iterator[Finding]:
    level: Level = 'fault' if topic.needed else 'warning'
    if not topic.publishers:
        yield Finding(
            level,
            'topic',
            topic.topic,
            f'nobody publishes it ({topic.role})',
            'without it there is nothing to work on' if topic.needed else 'the node works, with less',
            _remap(topic, seen),
        )
        return
    if topic.types and topic.kind not in topic.types:
        fix = _remap(topic, seen)
        if topic.types == ['sensor_msgs/msg/CompressedImage']:
            fix = 'set image_transport: compressed, and name the topic without /compressed'
        yield Finding(
            'fault',
            'type',
            topic.topic,
            f'it is {", ".join(topic.types)}; expected {topic.kind}',
            'the node cannot subscribe to it',
            fix,
        )
        return
    if topic.incompatible:
        yield Finding(
            'fault',
            'qos',
            topic.topic,
            f'a publisher offers a {topic.incompatible} that does not fit ours',
            'the middleware delivers nothing',
            f'remove qos_overrides.{topic.topic}.subscription from the parameters, or set it to what '
            'ros2 topic info --verbose shows',
        )
        return
    if not topic.arrived_s:
        yield Finding(
            level,
            'silent',
            topic.topic,
            f'{", ".join(topic.publishers)} publishes it, but nothing came in {seen.seconds:.0f} s',
            'the camera is stopped, or its messages are too large for the transport',
            'ros2 topic hz; is the camera running, does it use the profile of config/fastdds.xml?',
        )
        return
    yield from _traffic_findings(topic, seen)


def _traffic_findings(topic: ObservedTopic, seen: Observations) -> Iterator[Finding]:
    if len(set(topic.publishers)) > 1:
        yield Finding(
            'warning',
            'publishers',
            topic.topic,
            f'several publish it: {", ".join(topic.publishers)}',
            'their images would be mixed',
            'stop all but one, or remap them',
        )
    rate = topic.rate_hz
    size = f'{topic.largest_bytes / 1e6:.2f} MB each' if topic.largest_bytes > 100_000 else ''
    how = 'best effort' if topic.best_effort else 'reliable'
    words = ', '.join(filter(None, [f'{rate:.1f} Hz' if rate else 'one message', size, how]))
    if 'image' in topic.role and (rate is None or rate < _SLOW_HZ):
        yield Finding(
            'warning',
            'rate',
            topic.topic,
            words,
            'depth cannot come more often than images',
            'look at the camera, and at the transport below',
        )
    else:
        yield Finding('ok', 'rate', topic.topic, words)
    gaps = np.diff(topic.stamps_ns)
    if (gaps < 0).any():
        yield Finding(
            'warning',
            'stamps',
            topic.topic,
            f'stamps went back {int((gaps < 0).sum())} times',
            'old images are dropped, and pairing starts again',
            'a bag that loops, or two drivers?',
        )


def _remap(topic: ObservedTopic, seen: Observations) -> str:
    """Return the launch argument for the topic of the same type whose name is nearest."""
    candidates = [name for name, kind in seen.others.items() if kind == topic.kind and name != topic.topic]
    near = similar_topic(topic.argument, topic.topic, candidates)
    if near is None:
        return f'start the driver; no {topic.kind} is on this graph (ROS_DOMAIN_ID, ROS_LOCALHOST_ONLY?)'
    return remap_to(topic.argument, near)


def _clock_findings(seen: Observations) -> Iterator[Finding]:
    if seen.sim_time and not seen.clock:
        yield Finding(
            'warning',
            'clock',
            '/clock',
            'use_sim_time is true and nobody publishes /clock',
            'ages are nonsense, and max_age_s cannot work',
            'ros2 bag play --clock, or use_sim_time: false',
        )
    elif seen.clock and not seen.sim_time:
        yield Finding(
            'warning',
            'clock',
            '/clock',
            'somebody publishes it, and use_sim_time is false',
            'ages are those of another clock',
            'use_sim_time:=true',
        )
    for topic in seen.topics:
        if 'image' not in topic.role or not topic.stamps_ns:
            continue
        if not any(topic.stamps_ns):
            yield Finding(
                'warning',
                'clock',
                topic.topic,
                'all stamps are 0',
                'neither ages nor pairs are known',
                'let the driver set header.stamp',
            )
            continue
        age_s = float(np.median(topic.ages_s))
        if age_s > _LATE_S or age_s < -_EARLY_S:
            where = 'old' if age_s > 0 else 'ahead of our clock'
            yield Finding(
                'warning',
                'clock',
                topic.topic,
                f'its images are {abs(age_s):.1f} s {where}',
                'two clocks that differ, or a recording: ages are wrong, and tf finds nothing',
                'chrony on all machines; for recordings --clock and use_sim_time:=true',
            )


def _pair_findings(seen: Observations, settings: StereoSettings) -> Iterator[Finding]:
    left, right = seen.of('left image'), seen.of('right image')
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
                'pairs are found by stamp',
                'let the driver set header.stamp, or accept_zero_stamps: true',
            )
        return
    apart_ms = float(np.median(apart_ns(left.stamps_ns, right.stamps_ns))) / 1e6
    if apart_ms > settings.max_skew_ms:
        yield Finding(
            'fault',
            'skew',
            about,
            f'stamps are {apart_ms:.1f} ms apart (median); max_skew_ms is {settings.max_skew_ms:g}',
            'images that make no pair are dropped',
            'trigger both cameras together; if they are, and only their stamps differ: '
            f'max_skew_ms: {int(apart_ms * 1.5) + 1}',
        )
    else:
        yield Finding('ok', 'skew', about, f'stamps are {apart_ms:.1f} ms apart (median)')
    rates = left.rate_hz, right.rate_hz
    if rates[0] and rates[1] and abs(rates[0] - rates[1]) > _RATES_APART * max(rates[0], rates[1]):
        yield Finding(
            'warning',
            'rate',
            about,
            f'{rates[0]:.1f} and {rates[1]:.1f} images a second come',
            'what has no partner is lost',
            'look at the slower side, and at the transport below',
        )
