"""Settings as ROS parameters."""

import threading
from collections.abc import Collection, Iterable
from typing import Generic

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from depth_ros.errors import BadSettings, ModelError
from depth_ros.messages.scale_sensors import check_prompt_source
from depth_ros.networks.catalog import check_available
from depth_ros.ros.qos_overrides import given_values
from depth_ros.settings.common_settings import SettingsT
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.settings.parameter_table import Rule, Value, defaults, did_you_mean, rules, unknown_parameter
from depth_ros.settings.schema import WrongValue, converted


class NodeParameters(Generic[SettingsT]):
    """Declares the parameters of a table on a node and holds the current settings.

    A change of several parameters is accepted or rejected as a whole. An invalid value from a file or the command line
    does not end the node: configuring fails with the reason until the parameter is set to a valid value.
    """

    def __init__(self, node: Node, kind: type[SettingsT]) -> None:
        self._lock = threading.Lock()
        self._rejected: dict[str, str] = {}
        for name, default in defaults(kind).items():
            self._declare(node, name, default, rules(kind)[name])
        self._values = {name: node.get_parameter(name).value for name in rules(kind)}
        self._initial = self._settings = kind()
        self._problem = self._update()
        node.add_on_set_parameters_callback(self._on_set)
        for name in _unknown_overrides(node, rules(kind)):
            node.get_logger().warning(f'{unknown_parameter(kind, name)}. It is ignored')

    def current(self) -> SettingsT:
        """Return the current settings; each frame is processed with one such object.

        Raises:
            BadSettings: a value given at start is invalid and has not been corrected.
        """
        with self._lock:
            if self._problem:
                raise BadSettings(self._problem)
            return self._settings

    def _declare(self, node: Node, name: str, default: Value, rule: Rule) -> None:
        try:
            node.declare_parameter(name, default, _descriptor(name, default, rule))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            self._rejected[name] = str(error)
            node.declare_parameter(name, default, _descriptor(name, default, rule), ignore_override=True)

    def _update(self) -> str | None:
        """Update the settings from the values; return the problem if the values are invalid, otherwise None."""
        problems = list(self._rejected.values())
        try:
            settings = self._initial.changed(self._values)
        except BadSettings as error:
            problems.append(str(error))
        if problems:
            return '; '.join(problems)
        self._settings = settings
        return None

    def _on_set(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in self._values}
        with self._lock:
            try:
                # While an earlier value is invalid, a change is checked on its own, so that it can be corrected.
                settings = (self._initial if self._problem else self._settings).changed(changes)
                if changes.get('model'):
                    check_available(settings.model, 'mono' if isinstance(settings, MonoSettings) else 'stereo')
                    if isinstance(settings, MonoSettings):
                        check_prompt_source(settings)
            except (BadSettings, ModelError) as error:
                return SetParametersResult(successful=False, reason=str(error))
            self._values.update(changes)
            for name in changes:
                self._rejected.pop(name, None)
            self._problem = self._update()
        return SetParametersResult(successful=True)


def _descriptor(name: str, default: Value, rule: Rule) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=name,
        description=rule.description,
        additional_constraints=f'one of {", ".join(rule.choices)}' if rule.choices else '',
        read_only=rule.read_only,
        dynamic_typing=True,  # so that 20 is accepted for 20.0; NodeParameters checks the type
    )
    if rule.minimum is not None and rule.maximum is not None:
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=rule.minimum, to_value=rule.maximum)]
        else:
            limits = IntegerRange(from_value=int(rule.minimum), to_value=int(rule.maximum), step=1)
            descriptor.integer_range = [limits]
    return descriptor


def _unknown_overrides(node: Node, known: Collection[str]) -> list[str]:
    """Return the parameter names given at start that are unknown."""
    others = ('use_sim_time', 'qos_overrides.', 'start_type_description_service', 'cameras')
    return [name for name in given_values(node) if name not in known and not name.startswith(others)]


def number_parameter(node: Node, name: str, default: float) -> float:
    """Declare a float parameter of a node without settings; an integer is accepted.

    Raises:
        BadSettings: the value is not a number.
    """
    value = node.declare_parameter(name, default, ParameterDescriptor(dynamic_typing=True)).value
    try:
        return float(converted(float, value, name))
    except WrongValue as error:
        raise BadSettings(str(error)) from error


def refuse_unknown_parameters(node: Node) -> None:
    """Check that every parameter given at start has been declared.

    Raises:
        BadSettings: a parameter is unknown; the message names a similar one.
    """
    known = [name for name in node.get_parameters_by_prefix('') if name != 'use_sim_time']
    for name in _unknown_overrides(node, known):
        raise BadSettings(f"unknown parameter '{name}'; {did_you_mean(name, known)}")
