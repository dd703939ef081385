"""A queue of one item between the receiving thread and the worker thread; a new item replaces the old one."""

import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class Inbox(Generic[T]):
    """Holds at most one item."""

    def __init__(self) -> None:
        self._item: T | None = None
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> T | None:
        """Store an item and return the item that it replaced; return the item itself if the inbox is closed."""
        with self._changed:
            if self._closed:
                return item
            replaced, self._item = self._item, item
            self._changed.notify()
            return replaced

    def take(self) -> T | None:
        """Wait for an item and remove it; None if the inbox was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> T | None:
        """Reject further items, wake the waiting thread, and return the item that was not taken, if any."""
        with self._changed:
            self._closed = True
            item, self._item = self._item, None
            self._changed.notify_all()
            return item
