"""How a node is doing → one diagnostic status in words and numbers."""

from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from depth_ros.ros.frame_accounting import FrameCounts
from depth_ros.scale.scale_tracker import ScaleStatus

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_SILENCE_S = 2.0
_PERSISTENT_FAILURES = 30


@dataclass(frozen=True)
class TopicState:
    """One input topic as the node sees it."""

    role: str
    topic: str
    publishers: int
    silent_s: float
    incompatible: str | None


@dataclass(frozen=True)
class NodeState:
    """Everything a verdict needs."""

    name: str
    lifecycle: str
    account: FrameCounts
    estimator: str = ''
    inputs: list[TopicState] = field(default_factory=list)
    wanted: bool = True
    busy_s: float = 0.0
    timeout_s: float = 5.0
    failures_in_a_row: int = 0
    device_lost: bool = False
    trouble: str = ''
    """The latest complaint that no published frame has answered yet."""
    progress: str = ''
    """What configuring is at."""
    caution: str = ''
    """Warning about the estimator that applies for as long as it is used."""
    scale: ScaleStatus | None = None
    """None where the depth needs none."""


def verdict(state: NodeState) -> tuple[bytes, str]:
    """Return the level and one sentence for a person."""
    if state.lifecycle == 'configuring':
        return WARN, f'configuring: {state.progress or "loading"}'
    if state.lifecycle != 'active':
        return (ERROR if state.trouble else OK), state.trouble or state.lifecycle
    for topic in state.inputs:
        if topic.incompatible:
            return ERROR, (
                f'{topic.role} on {topic.topic}: a publisher offers a {topic.incompatible} that does not fit ours. '
                'Set qos_overrides for this subscription'
            )
    if state.device_lost:
        return ERROR, state.trouble
    if state.busy_s > state.timeout_s:
        return ERROR, f'the estimator has been busy with one frame for {state.busy_s:.1f} s'
    if state.failures_in_a_row >= _PERSISTENT_FAILURES:
        return ERROR, f'{state.failures_in_a_row} frames failed in a row: {state.trouble}'
    for topic in state.inputs:
        if topic.silent_s > _SILENCE_S:
            return WARN, _silence(topic)
    if state.trouble:
        return WARN, state.trouble
    age = state.account.age_ms
    words = f'{state.account.rate_hz:.1f} Hz' + (f', age {age["p50"]:.0f} ms' if age else '')
    if not state.wanted:
        words = 'idle: nobody subscribes to the results'
    return (WARN, f'{words}. {state.caution}') if state.caution else (OK, words)


def _silence(topic: TopicState) -> str:
    if topic.publishers == 0:
        return f'no {topic.role}: nobody publishes {topic.topic}. Start its driver or remap the topic'
    return (
        f'no {topic.role} on {topic.topic} for {topic.silent_s:.0f} s although {topic.publishers} publisher(s) are '
        'there. Is the camera running? Large images over UDP need net.core.rmem_max and the shipped Fast DDS profile'
    )


def diagnostic_array(state: NodeState, now: Time) -> DiagnosticArray:
    """Return the message for /diagnostics (REP 107)."""
    level, message = verdict(state)
    account = state.account
    values = {
        'lifecycle': state.lifecycle,
        'estimator': state.estimator,
        **({'caution': state.caution} if state.caution else {}),
        'received': account.received,
        'published': account.published,
        'in_flight': account.in_flight,
        **{f'dropped.{reason}': count for reason, count in sorted(account.dropped.items())},
        'rate_hz': f'{account.rate_hz:.2f}',
        **{f'age_{name}_ms': f'{value:.1f}' for name, value in account.age_ms.items()},
        'work_median_ms': f'{account.work_ms:.1f}',
        'mean_skew_ms': f'{account.mean_skew_ms:.3f}',
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
    """Return a scale's state in names and numbers; what is not known is left out."""
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
    found = DiagnosticStatus(level=level, name='scale', message=status.why or status.state, values=values)
    return DiagnosticArray(header=head, status=[found])
