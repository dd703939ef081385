"""Log messages of one kind at most once every ten seconds, with the number of suppressed ones."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_PERIOD_S = 10.0


@dataclass
class _Problem:
    last_logged_s: float
    suppressed: int = 0


class ThrottledLog:
    """Logs the first message of each kind, and then at most one every ten seconds.

    Args:
        log: Called with every message that is not suppressed.
        clock: Returns monotonic seconds.
    """

    def __init__(self, log: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._problems: dict[str, _Problem] = {}

    def report(self, kind: str, message: str) -> None:
        """Log a message unless one of its kind was logged recently."""
        with self._lock:
            now = self._clock()
            problem = self._problems.get(kind)
            if problem is not None and now - problem.last_logged_s < _PERIOD_S:
                problem.suppressed += 1
                return
            count = problem.suppressed if problem else 0
            self._problems[kind] = _Problem(now)
        self._log(f'{message} ({count} similar messages suppressed)' if count else message)
