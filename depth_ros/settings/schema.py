"""Plain data → typed values and frozen dataclasses, strictly: every key known, every value of the declared type."""

import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from depth_ros.errors import BadManifest


class WrongValue(ValueError):
    """A value does not have the declared type; the message names the place, the value and what was expected."""


def build(kind: Any, content: Any, where: str) -> Any:
    """Return an instance of a dataclass from a mapping of the same shape.

    Raises:
        BadManifest: a key is unknown or missing, or a value has the wrong type.
    """
    try:
        return _instance(kind, content, where)
    except WrongValue as error:
        raise BadManifest(str(error)) from error


def converted(hint: Any, value: Any, where: str) -> Any:
    """Return a value as the declared type: an integer is accepted for a float, a list for a tuple.

    Args:
        hint: A plain type, Literal, tuple, union or dataclass.
        value: As read from YAML or from a parameter.
        where: Name of the value, for the message.

    Raises:
        WrongValue: the value has another type, or is not one of the choices.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _instance(hint, value, where)
    if origin in (Union, types.UnionType):
        for option in arguments:
            if is_dataclass(option) and value is not None:
                return _instance(option, value, where)
            with suppress(WrongValue):
                return converted(option, value, where)
    elif origin is Literal:
        if any(value == option and type(value) is type(option) for option in arguments):
            return value
    elif origin is tuple:
        if isinstance(value, list) and (arguments[-1] is Ellipsis or len(value) == len(arguments)):
            items = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
            return tuple(converted(h, v, f'{where}[{i}]') for i, (h, v) in enumerate(zip(items, value, strict=True)))
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif type(value) is hint:
        return value
    raise WrongValue(f'{where} is {_shown(value)}; expected {_described(hint)}')


def _instance(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, Mapping):
        raise WrongValue(f'{where} is {_shown(content)}; expected {_described(kind)}')
    unknown = [key for key in content if key not in _names(kind)]
    if unknown:
        raise WrongValue(f"{where}: unknown key '{unknown[0]}'; expected {', '.join(_names(kind))}")
    hints = get_type_hints(kind)
    values = {}
    for declared in fields(kind):
        name, hint = declared.name, hints[declared.name]
        if name in content:
            values[name] = converted(hint, content[name], f'{where}: {name}')
        elif declared.default is MISSING:
            raise WrongValue(f"{where}: '{name}' is missing; expected {_described(hint)}")
    return kind(**values)


def _names(kind: Any) -> list[str]:
    return [declared.name for declared in fields(kind)]


def _shown(value: Any) -> str:
    return f'{value!r} ({type(value).__name__})' if value is not None else 'empty'


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return f'a mapping with {", ".join(_names(hint))}'
    if origin in (Union, types.UnionType):
        return ' or '.join(_described(a) for a in arguments)
    if origin is Literal:
        return 'one of ' + ', '.join(map(str, arguments))
    if origin is tuple:
        count = '' if arguments[-1] is Ellipsis else f'{len(arguments)} '
        return f'a list of {count}values, each {_described(arguments[0])}'
    return {type(None): 'nothing', float: 'a number', int: 'a whole number', str: 'text', bool: 'true or false'}[hint]
