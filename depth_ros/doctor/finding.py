"""The result of one check."""

from dataclasses import dataclass
from typing import Literal

Level = Literal['ok', 'warning', 'fault']


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    A fault prevents the node from working. With a warning the node works, but with degraded results.
    """

    level: Level
    check: str
    """Kind of the check, one word, for programs."""
    about: str
    """Topic, file, device or setting that was checked."""
    what: str
    """Observation, as a sentence or phrase."""
    why: str = ''
    """Consequence for the node; empty if the level is ok."""
    fix: str = ''
    """Remedy, as a command where possible; empty if the level is ok."""
