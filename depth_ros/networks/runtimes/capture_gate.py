"""Separates the capture of a CUDA graph from all other use of CUDA in this process.

ONNX Runtime captures in the mode ``cudaStreamCaptureModeGlobal``: while one thread captures, calls of other threads
that allocate or synchronise fail, and make the capture fail (CUDA Runtime API, cudaThreadExchangeStreamCaptureMode).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CaptureGate:
    """Many threads may use CUDA, or one may capture."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._users = 0
        self._capturing = False

    @contextmanager
    def use(self) -> Iterator[None]:
        """Wait until no thread captures; no thread captures within the context. Not for a thread that captures."""
        with self._changed:
            self._changed.wait_for(lambda: not self._capturing)
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @contextmanager
    def capture(self) -> Iterator[bool]:
        """Keep other threads from using CUDA within the context.

        Yields False, without waiting, if another thread uses CUDA now; opening a network can take minutes.
        """
        with self._changed:
            free = not (self._capturing or self._users)
            self._capturing = self._capturing or free
        try:
            yield free
        finally:
            if free:
                with self._changed:
                    self._capturing = False
                    self._changed.notify_all()


GATE = CaptureGate()
"""The gate of this process."""
