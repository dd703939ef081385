"""What a table of parameters is: every declaration, range, check and page follows from its fields."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from depth_ros.errors import BadSettings

Value = bool | int | float | str
Part = Literal['network', 'matcher']
"""What a node builds once and uses for many frames."""
TableT = TypeVar('TableT', bound='Table')


@dataclass(frozen=True)
class Rule:
    """What a parameter may be, for people and for the checks."""

    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    """True: takes effect when the node is configured and cannot change while it runs."""
    group: str = ''
    """Of a parameter ``group.name``, whose field is ``group_name``."""
    rebuilds: tuple[Part, ...] = ()
    """Parts that are built from the parameter; all other parameters are read for every frame."""


def parameter(default: Value, description: str, **rule: Any) -> Any:
    """Return a field of a table."""
    return field(default=default, metadata={'rule': Rule(description, **rule)})


@dataclass(frozen=True)
class Table:
    """A frozen set of parameter values; wrong ones cannot be made."""

    def __post_init__(self) -> None:
        problems = [problem for name in rules(type(self)) if (problem := _problem(self, name))]
        if not problems:
            problems = self._contradictions()
        if problems:
            raise BadSettings('; '.join(problems))

    def _contradictions(self) -> list[str]:
        """Return what does not go together, in words."""
        return []

    def changed(self: TableT, values: Mapping[str, Any]) -> TableT:
        """Return a copy with some values replaced.

        Raises:
            BadSettings: a name is unknown, a value has the wrong type or range, or the result contradicts itself.
        """
        declared = defaults(type(self))
        for name in values:
            if name not in declared:
                raise BadSettings(unknown_parameter(type(self), name))
        return replace(self, **{_field(name): _as_declared(declared[name], value) for name, value in values.items()})


def rules(kind: type[Table]) -> Mapping[str, Rule]:
    """Return the rule of every parameter, by name."""
    return {_name(f): f.metadata['rule'] for f in fields(kind)}


def defaults(kind: type[Table]) -> Mapping[str, Value]:
    """Return the default of every parameter, by name."""
    return {_name(f): f.default for f in fields(kind)}  # type: ignore[misc]


def built_from(table: Table, part: Part) -> tuple[tuple[str, Value], ...]:
    """Return names and values of the parameters that a part is built from; if they are equal, so are the parts."""
    return tuple(
        (name, getattr(table, _field(name))) for name, rule in rules(type(table)).items() if part in rule.rebuilds
    )


def _name(declared: 'Field[Any]') -> str:
    """Return the parameter's name for a field: ``scale.source`` for ``scale_source`` of the group ``scale``."""
    group = declared.metadata['rule'].group
    return f'{group}.{declared.name.removeprefix(f"{group}_")}' if group else declared.name


def _field(name: str) -> str:
    return name.replace('.', '_')


def unknown_parameter(kind: type[Table], name: str) -> str:
    """Say that a parameter does not exist and which one was probably meant."""
    return f"unknown parameter '{name}'; {did_you_mean(name, rules(kind))}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Say which name a wrong one was probably meant to be, or which there are."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f'known: {", ".join(known)}'


def _as_declared(default: Value, value: Any) -> Any:
    """Let a whole number stand for a float (YAML ``range_max_m: 20``); leave everything else to the checks."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _problem(table: Table, name: str) -> str | None:
    value, rule = getattr(table, _field(name)), rules(type(table))[name]
    expected = type(defaults(type(table))[name])
    if type(value) is not expected:
        return f'{name} is {value!r} of type {type(value).__name__}; expected {expected.__name__}'
    if rule.choices and value not in rule.choices:
        return f"{name} is '{value}'; expected one of {', '.join(rule.choices)}"
    return _out_of_range(name, rule, value)


def _out_of_range(name: str, rule: Rule, value: Any) -> str | None:
    low, high = rule.minimum, rule.maximum
    if low is None or high is None or low <= value <= high:
        return None  # NaN does not get here: no comparison with it is true
    return f'{name} is {value!r}; expected {low:g} to {high:g}' + (f' {rule.unit}' if rule.unit else '')
