"""Long preparations, seen from outside: they tell how far they are and can be given up."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressListener:
    """What a preparation of minutes (building an engine) is given by whoever waits for it."""

    say: Callable[[str], None] = lambda text: None
    """Told what is being done, every few seconds."""
    cancelled: Callable[[], bool] = lambda: False
    """Asked several times a second; True ends the preparation with ``InferenceError``."""


NO_LISTENER = ProgressListener()
