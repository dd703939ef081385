"""The one thread that does the work, so that receiving, services and parameters never wait for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from depth_ros.ros.inbox import Inbox

T = TypeVar('T')


class Worker(Generic[T]):
    """Calls ``work`` on the newest item, one at a time, on a thread of its own.

    Args:
        work: What to do; an exception that leaves it is logged and the next item is worked on.
        displaced: Told of every item that was never worked on.
    """

    def __init__(self, work: Callable[[T], None], displaced: Callable[[T], None]) -> None:
        self._work = work
        self._displaced = displaced
        self._inbox: Inbox[T] = Inbox()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name='depth worker', daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        """Hand over an item; it displaces one that still waits."""
        displaced = self._inbox.put(item)
        if displaced is not None:
            self._displaced(displaced)

    def busy_s(self) -> float:
        """Return for how long the current item has been worked on; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def stop(self, timeout_s: float) -> bool:
        """Finish the current item, take no more, and tell whether that was done in time."""
        left = self._inbox.close()
        if left is not None:
            self._displaced(left)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._inbox.take()) is not None:
            self._busy_since = time.monotonic()
            try:
                self._work(item)
            except Exception:
                logging.getLogger(__name__).exception('the worker goes on after an unexpected error')
            finally:
                self._busy_since = None
            del item
