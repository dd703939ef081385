"""Tables of parameters: frozen dataclasses whose fields define type, default, range and description.

The ROS declarations, the checks and docs/parameters.md are derived from the fields.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from depth_ros.errors import BadSettings
from depth_ros.settings.schema import WrongValue, converted

Value = bool | int | float | str
Part = Literal['network', 'matcher']
"""A part that a node builds once and uses for many frames."""
TableT = TypeVar('TableT', bound='Table')


@dataclass(frozen=True)
class Rule:
    """Description and allowed values of a parameter."""

    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    """Whether the parameter takes effect when the node is configured and cannot be changed while it runs."""
    group: str = ''
    """First part of the parameter name ``group.name``; the field is named ``group_name``."""
    rebuilds: tuple[Part, ...] = ()
    """Parts that are built from the parameter; parameters without parts are read for every frame."""

    @property
    def allowed_range(self) -> str:
        """The allowed range with its unit, such as ``0 to 100 m``; empty if there is none."""
        if self.minimum is None or self.maximum is None:
            return ''
        return f'{self.minimum:.7g} to {self.maximum:.7g} {self.unit}'.rstrip()


def parameter(default: Value, description: str, **rule: Any) -> Any:
    """Return the field of a table for one parameter; ``rule`` holds further fields of ``Rule``."""
    return field(default=default, metadata={'rule': Rule(description, **rule)})


@dataclass(frozen=True)
class Table:
    """A frozen set of valid parameter values.

    Raises:
        BadSettings: a value has the wrong type or is out of range, or values contradict each other.
    """

    def __post_init__(self) -> None:
        problems, initial = [], defaults(type(self))
        for name, rule in rules(type(self)).items():
            try:
                value = _checked(name, rule, initial[name], getattr(self, _field(name)))
            except WrongValue as error:
                problems.append(str(error))
            else:
                object.__setattr__(self, _field(name), value)
        problems = problems or self._contradictions()
        if problems:
            raise BadSettings('; '.join(problems))

    def _contradictions(self) -> list[str]:
        """Return a message for every combination of values that is not allowed."""
        return []

    def changed(self: TableT, values: Mapping[str, Any]) -> TableT:
        """Return a copy with some values replaced.

        Raises:
            BadSettings: a name is unknown, or the result is invalid.
        """
        known = rules(type(self))
        for name in values:
            if name not in known:
                raise BadSettings(unknown_parameter(type(self), name))
        return replace(self, **{_field(name): value for name, value in values.items()})


def rules(kind: type[Table]) -> Mapping[str, Rule]:
    """Return the rule of every parameter, by name."""
    return {_name(f): f.metadata['rule'] for f in fields(kind)}


def defaults(kind: type[Table]) -> Mapping[str, Value]:
    """Return the default of every parameter, by name."""
    return {_name(f): f.default for f in fields(kind)}  # type: ignore[misc]


def built_from(table: Table, part: Part) -> tuple[tuple[str, Value], ...]:
    """Return names and values of the parameters from which a part is built; equal values give equal parts."""
    return tuple(
        (name, getattr(table, _field(name))) for name, rule in rules(type(table)).items() if part in rule.rebuilds
    )


def _name(declared: 'Field[Any]') -> str:
    """Return the parameter name of a field: ``scale.source`` for the field ``scale_source`` of the group ``scale``."""
    group = declared.metadata['rule'].group
    return f'{group}.{declared.name.removeprefix(f"{group}_")}' if group else declared.name


def _field(name: str) -> str:
    return name.replace('.', '_')


def unknown_parameter(kind: type[Table], name: str) -> str:
    """Return the error message for an unknown parameter, with the most similar known name."""
    return f"unknown parameter '{name}'; {did_you_mean(name, rules(kind))}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a hint at the known name that is most similar to a wrong one; without a similar name, all known names."""
    similar = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{similar[0]}'?" if similar else f'known: {", ".join(known)}'


def _checked(name: str, rule: Rule, default: Value, value: Any) -> Any:
    """Return a value as the type of its parameter.

    Raises:
        WrongValue: it has another type, is not one of the choices, or is out of range.
    """
    value = converted(Literal[rule.choices] if rule.choices else type(default), value, name)
    # NaN is out of every range: no comparison with it is true.
    if rule.minimum is not None and rule.maximum is not None and not rule.minimum <= value <= rule.maximum:
        raise WrongValue(f'{name} is {value!r}; expected {rule.allowed_range}')
    return value
