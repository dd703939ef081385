"""Say a problem once, then at most every ten seconds, with a count."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_PERIOD_S = 10.0


@dataclass
class _Problem:
    last_said: float
    unsaid: int = 0


class ThrottledLog:
    """Passes the first message of a kind on, and then one every ten seconds.

    Args:
        say: Where to say it.
        clock: Monotonic seconds.
    """

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._problems: dict[str, _Problem] = {}

    def tell(self, kind: str, message: str) -> None:
        """Report one occurrence of a kind of problem."""
        with self._lock:
            now = self._clock()
            problem = self._problems.get(kind)
            if problem is not None and now - problem.last_said < _PERIOD_S:
                problem.unsaid += 1
                return
            count = problem.unsaid if problem else 0
            self._problems[kind] = _Problem(now)
        self._say(f'{message} ({count} more in between)' if count else message)
