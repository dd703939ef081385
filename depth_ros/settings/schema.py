"""Plain data → frozen dataclasses, strictly: every key known, every value of the declared type."""

import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from depth_ros.errors import BadManifest


def build(kind: Any, content: Any, where: str) -> Any:
    """Return an instance of a dataclass from a mapping of the same shape.

    Raises:
        BadManifest: a key is unknown or missing, or a value is of another type; names where, found and expected.
    """
    if not isinstance(content, Mapping):
        raise BadManifest(f'{where} is {_shown(content)}; expected a mapping with {", ".join(_names(kind))}')
    unknown = [key for key in content if key not in _names(kind)]
    if unknown:
        raise BadManifest(f"{where}: unknown key '{unknown[0]}'; expected {', '.join(_names(kind))}")
    hints = get_type_hints(kind)
    values = {}
    for each in fields(kind):
        if each.name in content:
            values[each.name] = _convert(hints[each.name], content[each.name], f'{where}: {each.name}')
        elif each.default is MISSING:
            raise BadManifest(f"{where}: '{each.name}' is missing; expected {_described(hints[each.name])}")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return build(hint, value, where)
    if origin in (Union, types.UnionType):
        for option in arguments:
            if is_dataclass(option) and value is not None:
                return build(option, value, where)
            with suppress(BadManifest):
                return _convert(option, value, where)
    elif origin is Literal:
        if any(value == option and type(value) is type(option) for option in arguments):
            return value
    elif origin is tuple:
        if isinstance(value, list) and (arguments[-1] is Ellipsis or len(value) == len(arguments)):
            items = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
            return tuple(_convert(h, v, f'{where}[{i}]') for i, (h, v) in enumerate(zip(items, value, strict=True)))
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif type(value) is hint:
        return value
    raise BadManifest(f'{where} is {_shown(value)}; expected {_described(hint)}')


def _names(kind: Any) -> list[str]:
    return [each.name for each in fields(kind)]


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
        count = 'a list' if arguments[-1] is Ellipsis else f'a list of {len(arguments)}'
        return f'{count} of {_described(arguments[0])}'
    return {type(None): 'nothing', float: 'number', int: 'whole number', str: 'text', bool: 'true or false'}[hint]
