"""Argument types of the command line. An invalid value is a usage error that states what was expected."""

import argparse
import re
from pathlib import Path

import yaml

_NAMESPACE = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)*')
_NAME = r'[~/A-Za-z_][~/A-Za-z0-9_]*'
_REMAPPING = re.compile(f'{_NAME}:={_NAME}')


def assignment(text: str) -> str:
    """Return ``NAME:=VALUE`` unchanged; the value must be valid YAML."""
    name, separator, value = text.partition(':=')
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"'{text}' is not a parameter; expected NAME:=VALUE")
    try:
        yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"the value of '{text}' is not valid YAML") from error
    return text


def remapping(text: str) -> tuple[str, str]:
    """Return the source and target names of ``FROM:=TO``."""
    if not _REMAPPING.fullmatch(text) or text.startswith('__'):
        raise argparse.ArgumentTypeError(f"'{text}' is not a remapping; expected FROM:=TO with topic names")
    source, _, target = text.partition(':=')
    return source, target


def ros_namespace(text: str) -> str:
    """Return a ROS namespace with a leading slash and without a trailing slash; '' is the root namespace."""
    absolute = f'/{text.strip("/")}'.rstrip('/')
    if not _NAMESPACE.fullmatch(absolute):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a namespace; expected names of letters, digits and _, separated by /"
        )
    return absolute


def existing_file(text: str) -> Path:
    """Return the path of an existing file."""
    path = Path(text)
    if not path.is_file():
        state = 'is a folder' if path.is_dir() else 'does not exist'
        raise argparse.ArgumentTypeError(f'{text} {state}; expected a file')
    return path


def size(text: str) -> tuple[int, int]:
    """Return width and height from ``WxH``."""
    if not (match := re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text)):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; expected WIDTHxHEIGHT, such as 640x480")
    return int(match[1]), int(match[2])


def not_negative(text: str) -> int:
    """Return a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number; expected 0 or more")
    return int(text)
