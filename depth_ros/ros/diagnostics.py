"""State of a node → diagnostic messages."""

from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from depth_ros.ros.frame_accounting import FrameCounts
from depth_ros.scale.scale_tracker import ScaleStatus

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_MAX_SILENCE_S = 2.0
_PERSISTENT_FAILURES = 30


@dataclass(frozen=True)
class TopicState:
    """State of one input topic."""

    role: str
    topic: str
    publishers: int
    silent_s: float
    """Time since the last message."""
    incompatible: str | None
    """QoS policy that is incompatible with a publisher; None if all are compatible."""


@dataclass(frozen=True)
class NodeState:
    """Everything that the diagnostic status depends on."""

    name: str
    lifecycle: str
    counts: FrameCounts
    estimator: str = ''
    inputs: list[TopicState] = field(default_factory=list)
    has_subscribers: bool = True
    busy_s: float = 0.0
    timeout_s: float = 5.0
    failures_in_a_row: int = 0
    device_lost: bool = False
    unavailable: str = ''
    """Why the estimator cannot estimate any frame now; empty if it can."""
    problem: str = ''
    """Latest problem; empty after the next frame that was published."""
    progress: str = ''
    """Current step of configuring."""
    caution: str = ''
    """Warning that applies while the estimator is in use, or until the images change."""
    image_values: dict[str, str] = field(default_factory=dict)
    """Measured properties of the images, by key."""
    scale: ScaleStatus | None = None
    """None if the depth needs no scale."""


def summarize(state: NodeState) -> tuple[bytes, str]:
    """Return the level and the message of the diagnostic status."""
    if state.lifecycle == 'configuring':
        return WARN, f'configuring: {state.progress or "loading"}'
    if state.lifecycle != 'active':
        return (ERROR if state.problem else OK), state.problem or state.lifecycle
    for topic in state.inputs:
        if topic.incompatible:
            return ERROR, (
                f'{topic.role} on {topic.topic}: the {topic.incompatible} of a publisher is incompatible with this '
                'subscription. Set qos_overrides for this subscription'
            )
    if state.device_lost:
        return ERROR, state.problem
    if state.unavailable:
        return ERROR, f'no depth: {state.unavailable}'
    if state.busy_s > state.timeout_s:
        return ERROR, f'the estimator has been processing one frame for {state.busy_s:.1f} s'
    if state.failures_in_a_row >= _PERSISTENT_FAILURES:
        return ERROR, f'{state.failures_in_a_row} consecutive frames failed: {state.problem}'
    for topic in state.inputs:
        if topic.silent_s > _MAX_SILENCE_S:
            return WARN, _silence(topic)
    if state.problem:
        return WARN, state.problem
    age = state.counts.age_ms
    text = f'{state.counts.rate_hz:.1f} Hz' + (f', age {age["p50"]:.0f} ms' if age else '')
    if not state.has_subscribers:
        text = 'idle: no subscribers'
    return (WARN, f'{text}. {state.caution}') if state.caution else (OK, text)


def _silence(topic: TopicState) -> str:
    if topic.publishers == 0:
        return f'no {topic.role}: no publisher on {topic.topic}. Start the driver or remap the topic'
    return (
        f'no {topic.role} on {topic.topic} for {topic.silent_s:.0f} s, although there are {topic.publishers} '
        'publisher(s). Check that the camera is running. Large images over UDP require a larger net.core.rmem_max and '
        'the shipped Fast DDS profile'
    )


def diagnostic_array(state: NodeState, now: Time) -> DiagnosticArray:
    """Return the message for /diagnostics (REP 107)."""
    level, message = summarize(state)
    counts = state.counts
    values = {
        'lifecycle': state.lifecycle,
        'estimator': state.estimator,
        **({'caution': state.caution} if state.caution else {}),
        'received': counts.received,
        'published': counts.published,
        'in_flight': counts.in_flight,
        **{f'dropped.{reason}': count for reason, count in sorted(counts.dropped.items())},
        'rate_hz': f'{counts.rate_hz:.2f}',
        **{f'age_{name}_ms': f'{value:.1f}' for name, value in counts.age_ms.items()},
        'work_median_ms': f'{counts.work_ms:.1f}',
        'mean_skew_ms': f'{counts.mean_skew_ms:.3f}',
        **state.image_values,
        **({f'scale.{key}': value for key, value in scale_values(state.scale).items()} if state.scale else {}),
        **{f'{t.role}': f'{t.topic}, {t.publishers} publisher(s), last {t.silent_s:.1f} s ago' for t in state.inputs},
    }
    status = DiagnosticStatus(
        level=level,
        name=f'{state.name}: frames',
        message=message,
        hardware_id=state.name,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
    return DiagnosticArray(header=Header(stamp=now), status=[status])


def scale_values(status: ScaleStatus) -> dict[str, str]:
    """Return the state of a scale by name; unknown values are omitted."""
    numbers = {
        'scale': status.scale and status.scale.scale,
        'shift': status.scale and status.scale.shift,
        'residual': status.residual,
        'inlier_share': status.inlier_share,
        'age_s': status.age_s,
    }
    law = {'law': status.scale.law} if status.scale else {}
    return {
        'state': status.state,
        **law,
        **{key: f'{value:.6g}' for key, value in numbers.items() if value is not None},
    }


def scale_message(status: ScaleStatus, head: Header) -> DiagnosticArray:
    """Return the message for the topic ``scale``."""
    values = [KeyValue(key=key, value=value) for key, value in scale_values(status).items()]
    level = {'tracking': OK, 'held': WARN, 'unknown': ERROR}[status.state]
    result = DiagnosticStatus(level=level, name='scale', message=status.why or status.state, values=values)
    return DiagnosticArray(header=head, status=[result])
