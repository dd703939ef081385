"""A worker thread, so that subscriptions, services and parameters never wait for an estimate."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from depth_ros.ros.inbox import Inbox

T = TypeVar('T')


class Worker(Generic[T]):
    """Processes the newest item on a separate thread, one item at a time.

    Args:
        work: Processes an item; an exception is logged and the next item is processed.
        discarded: Called with every item that was not processed.
    """

    def __init__(self, work: Callable[[T], None], discarded: Callable[[T], None]) -> None:
        self._work = work
        self._discarded = discarded
        self._inbox: Inbox[T] = Inbox()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name='depth worker', daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        """Submit an item; it replaces an item that is still waiting."""
        replaced = self._inbox.put(item)
        if replaced is not None:
            self._discarded(replaced)

    def busy_s(self) -> float:
        """Return the processing time of the current item so far; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def stop(self, timeout_s: float) -> bool:
        """Stop after the current item; return whether the thread ended in time."""
        waiting = self._inbox.close()
        if waiting is not None:
            self._discarded(waiting)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._inbox.take()) is not None:
            self._busy_since = time.monotonic()
            try:
                self._work(item)
            except Exception:
                logging.getLogger(__name__).exception(
                    'unexpected error in the worker thread; it continues with the next frame'
                )
            finally:
                self._busy_since = None
            del item
