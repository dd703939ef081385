"""Checks of ``qos_overrides`` parameters; the errors of rclpy name neither the parameter nor the expected values."""

from collections.abc import Mapping
from typing import Any, Literal

from rclpy.node import Node

from depth_ros.errors import BadSettings

RELIABILITIES = ('best_available', 'best_effort', 'reliable')
_HISTORIES = ('keep_all', 'keep_last')
_MAX_DEPTH = 10_000


def check_qos_overrides(node: Node, topic: str, entity: Literal['publisher', 'subscription']) -> None:
    """Check the values of the ``qos_overrides`` parameters for one topic.

    Args:
        node: The node with the parameters, which need not be declared yet.
        topic: Topic name before namespace and remapping.
        entity: Whether the overrides of the publisher or of the subscription are checked.

    Raises:
        BadSettings: a value is invalid.
    """
    prefix = f'qos_overrides.{node.resolve_topic_name(topic)}.{entity}.'
    for name, value in given_values(node).items():
        expected = _expected(name.removeprefix(prefix), value) if name.startswith(prefix) else None
        if expected is not None:
            raise BadSettings(f'{name} is {value!r}; expected {expected}')


def unused_qos_overrides(node: Node) -> list[str]:
    """Return the ``qos_overrides`` parameters given at start that no publisher or subscription of the node uses."""
    given = given_values(node)
    if 'cameras' in given:  # the overrides apply to the nodes of several cameras
        return []
    return [name for name in given if name.startswith('qos_overrides.') and not node.has_parameter(name)]


def warn_of_unused_qos_overrides(node: Node) -> None:
    """Log the ``qos_overrides`` parameters without effect; call this when the node has all its topics."""
    for name in unused_qos_overrides(node):
        node.get_logger().warning(
            f"'{name}' is ignored: expected qos_overrides.<topic>.<publisher|subscription>.<history|depth|reliability> "
            'with a topic of this node, after namespace and remapping'
        )


def given_values(node: Node) -> Mapping[str, Any]:
    """Return the parameter values given at start, by name. rclpy has no public interface for this."""
    return {name: parameter.value for name, parameter in getattr(node, '_parameter_overrides', {}).items()}


def _expected(policy: str, value: Any) -> str | None:
    """Return the expected value if the value is invalid; None if it is valid or the policy is unknown."""
    if policy == 'depth':
        valid = type(value) is int and 1 <= value <= _MAX_DEPTH
        return None if valid else f'a whole number from 1 to {_MAX_DEPTH}'
    choices = {'reliability': RELIABILITIES, 'history': _HISTORIES}.get(policy)
    return None if choices is None or value in choices else f'one of {", ".join(choices)}'
