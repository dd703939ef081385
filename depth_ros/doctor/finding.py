"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal

Level = Literal['ok', 'warning', 'fault']


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    A fault keeps the node from working; with a warning it works, worse than it could.
    """

    level: Level
    check: str
    """Of which kind, in one word, for programs."""
    about: str
    """Topic, file, device or setting."""
    what: str
    why: str = ''
    """Why it matters; empty where all is well."""
    fix: str = ''
    """What to do, as a command where there is one."""
