"""Progress reports and cancellation of a preparation that takes minutes, and changes reported later."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressListener:
    """Callbacks of a caller that waits for a long preparation, such as building an engine."""

    report: Callable[[str], None] = lambda text: None
    """Called every few seconds with a text that describes the current step."""
    cancelled: Callable[[], bool] = lambda: False
    """Called several times a second; True ends the preparation with ``InferenceError``."""
    warn: Callable[[str], None] = lambda text: None
    """Called by any thread with a text that describes a loss or a return of the inference server."""
    waits_for_server: bool = False
    """Whether the caller can work while the inference server is unavailable; False = that is an error."""


NO_LISTENER = ProgressListener()
