"""One network for several cameras: loaded once, run for one after the other in the order in which they asked."""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from depth_ros.errors import EstimatorError
from depth_ros.estimators.estimator import MonoEstimator
from depth_ros.types import DepthEstimate, Frame


class BatchEstimator(MonoEstimator, Protocol):
    """A mono estimator that may take several frames at once."""

    @property
    def largest_batch(self) -> int:
        """How many frames it takes at once."""
        ...

    def estimate_batch(self, frames: Sequence[Frame]) -> list[DepthEstimate]:
        """Estimate frames of one size together.

        Raises:
            EstimatorError: none of them could be estimated.
        """
        ...


class _Request:
    """One camera's frame, waiting for its turn."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.result: DepthEstimate | None = None
        self.error: Exception | None = None
        self.done = False


class _Queue:
    """The network and who waits for it. Whoever is first when it is free runs it, also for those right behind him."""

    def __init__(self, estimator: BatchEstimator) -> None:
        self.estimator = estimator
        self._changed = threading.Condition()
        self._waiting: deque[_Request] = deque()
        self._running: list[_Request] = []

    def estimate(self, request: _Request) -> DepthEstimate:
        with self._changed:
            self._waiting.append(request)
            self._changed.wait_for(lambda: request.done or (not self._running and self._waiting[0] is request))
            if not request.done:
                self._running = self._next()
        if not request.done:
            self._run(self._running)
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def give_up(self, request: _Request) -> None:
        """End a request: at once if it still waits, soon if it runs."""
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
                request.error, request.done = EstimatorError('given up while other cameras were served'), True
                self._changed.notify_all()
            elif request in self._running:
                self.estimator.cancel()

    def _next(self) -> list[_Request]:
        """Take the first request, and those of the same size behind it that fit into its batch."""
        chosen = [self._waiting.popleft()]
        while self._waiting and len(chosen) < self.estimator.largest_batch:
            if self._waiting[0].frame.image.shape != chosen[0].frame.image.shape:
                break
            chosen.append(self._waiting.popleft())
        return chosen

    def _run(self, requests: list[_Request]) -> None:
        try:
            if len(requests) == 1:
                requests[0].result = self.estimator.estimate(requests[0].frame)
            else:
                for request, result in zip(
                    requests, self.estimator.estimate_batch([r.frame for r in requests]), strict=True
                ):
                    request.result = result
        except Exception as error:
            for request in requests:
                request.error = error
        finally:
            with self._changed:
                for request in requests:
                    request.done = True
                self._running = []
                self._changed.notify_all()


class SharedEstimator:
    """One camera's share of a network."""

    def __init__(self, queue: _Queue, forget: Callable[[_Queue], None]) -> None:
        self.name = queue.estimator.name
        self.caution = str(getattr(queue.estimator, 'caution', ''))
        self.simulator_only = bool(getattr(queue.estimator, 'simulator_only', False))
        self._queue = queue
        self._forget = forget
        self._request: _Request | None = None

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate a picture when it is its turn.

        Raises:
            EstimatorError: the network failed on it, or on the batch that it was in.
        """
        self._request = _Request(frame)
        try:
            return self._queue.estimate(self._request)
        finally:
            self._request = None

    def cancel(self) -> None:
        """End this camera's frame soon; the others' are not touched, unless they run together with it."""
        request = self._request
        if request is not None:
            self._queue.give_up(request)

    def close(self) -> None:
        """Have the network loaded anew by whoever asks next; it is freed when no camera uses it any more."""
        self._forget(self._queue)


class Sharing:
    """Loads networks once for several cameras; those that ask with the same key share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: weakref.WeakValueDictionary[Hashable, _Queue] = weakref.WeakValueDictionary()

    def get(self, key: Hashable, load: Callable[[], BatchEstimator]) -> SharedEstimator:
        """Return a share of the network of a key, loaded now if nobody has it."""
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                queue = _Queue(load())
                self._queues[key] = queue
        return SharedEstimator(queue, self._drop)

    def _drop(self, queue: _Queue) -> None:
        with self._lock:
            for key, each in list(self._queues.items()):
                if each is queue:
                    del self._queues[key]
