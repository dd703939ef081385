"""A place for one item between the thread that receives and the thread that works: the newest wins."""

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
        """Put an item in and return the one it displaced, or the item itself if the inbox is closed."""
        with self._changed:
            if self._closed:
                return item
            displaced, self._item = self._item, item
            self._changed.notify()
            return displaced

    def take(self) -> T | None:
        """Wait for an item and take it; None means that the inbox was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> T | None:
        """Refuse further items, wake the taker, and return what nobody took."""
        with self._changed:
            self._closed = True
            item, self._item = self._item, None
            self._changed.notify_all()
            return item
