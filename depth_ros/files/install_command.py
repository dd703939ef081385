"""The command that installs the dependencies of an optional feature for the running Python."""

import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path


def install_command(extra: str) -> str:
    """Return the pip command for one of the extras of setup.py; it works in a virtual environment and in a workspace.

    It lists the libraries instead of the extra, because depth_ros is not on PyPI.
    """
    split = [requirement.partition(';') for requirement in _requirements()]
    libraries = [name.strip() for name, _, marker in split if _extra(marker) == extra]
    packages = libraries or ['-e', f'{Path(__file__).resolve().parents[2]}[{extra}]']
    return shlex.join([sys.executable, '-m', 'pip', 'install', *packages])


def _requirements() -> list[str]:
    try:
        return requires('depth_ros') or []
    except PackageNotFoundError:  # running from a checkout that is not installed
        return []


def _extra(marker: str) -> str:
    """Return the name in a marker such as ``extra == "view"``."""
    return marker.rpartition('==')[2].strip(' "\'')
