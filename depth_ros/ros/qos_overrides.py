"""Checks of ``qos_overrides`` parameters. rclpy's own errors name neither the parameter nor the expected values."""

from collections.abc import Mapping
from typing import Any, Literal

from rclpy.node import Node

from depth_ros.errors import BadSettings

RELIABILITIES = ('best_available', 'best_effort', 'reliable')
_HISTORIES = ('keep_all', 'keep_last')
_LARGEST_DEPTH = 10_000


def check_qos_overrides(node: Node, topic: str, entity: Literal['publisher', 'subscription']) -> None:
    """Check the values that ``qos_overrides`` parameters give for one topic.

    Args:
        node: Owns the parameters; they need not be declared yet.
        topic: Before namespace and remapping.
        entity: Which side of the topic is checked.

    Raises:
        BadSettings: a value is not one of those that are possible.
    """
    prefix = f'qos_overrides.{node.resolve_topic_name(topic)}.{entity}.'
    for name, value in given_values(node).items():
        expected = _expected(name.removeprefix(prefix), value) if name.startswith(prefix) else None
        if expected is not None:
            raise BadSettings(f'{name} is {value!r}; expected {expected}')


def unused_qos_overrides(node: Node) -> list[str]:
    """Return the ``qos_overrides`` parameters given at start that no publisher or subscription of the node has read."""
    given = given_values(node)
    if 'cameras' in given:  # the values are meant for the nodes of several cameras
        return []
    return [name for name in given if name.startswith('qos_overrides.') and not node.has_parameter(name)]


def warn_of_unused_qos_overrides(node: Node) -> None:
    """Log the ``qos_overrides`` parameters that have no effect, once the node has all its topics."""
    for name in unused_qos_overrides(node):
        node.get_logger().warning(
            f"'{name}' is ignored: expected qos_overrides.<topic>.<publisher|subscription>.<history|depth|reliability> "
            'with a topic of this node, after namespace and remapping'
        )


def given_values(node: Node) -> Mapping[str, Any]:
    """Return the parameter values given at start, by name; rclpy has no public access to them."""
    return {name: parameter.value for name, parameter in getattr(node, '_parameter_overrides', {}).items()}


def _expected(policy: str, value: Any) -> str | None:
    """Return what was expected of a wrong value; None for a right one, and for a policy that is not read."""
    if policy == 'depth':
        fits = type(value) is int and 1 <= value <= _LARGEST_DEPTH
        return None if fits else f'a whole number from 1 to {_LARGEST_DEPTH}'
    choices = {'reliability': RELIABILITIES, 'history': _HISTORIES}.get(policy)
    return None if choices is None or value in choices else f'one of {", ".join(choices)}'
