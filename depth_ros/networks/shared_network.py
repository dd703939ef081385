"""One network for several cameras: loaded once, run for their frames in the order of arrival."""

import threading
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

from depth_ros.errors import EstimatorError, OutOfMemory
from depth_ros.estimators.estimator import BatchEstimator
from depth_ros.types import DepthEstimate, Frame

_MAX_FAILURES_IN_A_ROW = 10
"""A network that fails this often in a row is loaded again."""


class _Request:
    """A frame of one camera that waits for the network."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.result: DepthEstimate | None = None
        self.error: Exception | None = None
        self.done = False


class _SharedNetwork:
    """A network and the frames that wait for it.

    The thread of the first waiting frame runs the network, also for the frames behind it that fit into the batch.
    """

    def __init__(self) -> None:
        self.shares = 0
        """Number of shares; guarded by the lock of ``SharedNetworks``."""
        self.name = ''
        self.caution = ''
        self.simulator_only = False
        self.prompt_size: tuple[int, int] | None = None
        self._estimator: BatchEstimator | None = None
        self._load_error: Exception = EstimatorError('the network is not loaded')
        self._failures_in_a_row = 0
        self._out_of_memory = False
        self._changed = threading.Condition()
        self._busy = False
        """Whether a thread runs, loads or closes the network; only that thread accesses the attributes above."""
        self._waiting: deque[_Request] = deque()
        self._running: list[_Request] = []

    def ensure_loaded(self, load: Callable[[], BatchEstimator]) -> None:
        """Load the network if it is not loaded; close and load it again if it fails repeatedly.

        Frames that arrive meanwhile wait.

        Raises:
            Exception: any error of ``load``; the next call tries again.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._busy = True
        try:
            if self._is_broken():
                self.close()
            if self._estimator is None:
                self._estimator = load()
                self.name, self.caution = self._estimator.name, str(getattr(self._estimator, 'caution', ''))
                self.simulator_only = bool(getattr(self._estimator, 'simulator_only', False))
                self.prompt_size = getattr(self._estimator, 'prompt_size', None)
        except Exception as error:
            self._load_error = error
            raise
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def close(self) -> None:
        """Release the network."""
        estimator, self._estimator = self._estimator, None
        self._failures_in_a_row, self._out_of_memory = 0, False
        if estimator is not None:
            estimator.close()

    def estimate(self, request: _Request) -> DepthEstimate:
        """Wait for the network, run it if this request is the first, and return the result."""
        with self._changed:
            self._waiting.append(request)
            self._changed.wait_for(lambda: request.done or (not self._busy and self._waiting[0] is request))
            if not request.done:
                self._busy, self._running = True, self._next()
        if not request.done:
            self._run(self._running)
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def cancel(self, request: _Request) -> None:
        """End a request: immediately if it waits, soon if it runs."""
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
                request.error, request.done = (
                    EstimatorError('cancelled while frames of other cameras were processed'),
                    True,
                )
                self._changed.notify_all()
            elif request in self._running and self._estimator is not None:
                self._estimator.cancel()

    def _is_broken(self) -> bool:
        return self._out_of_memory or self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW

    def _next(self) -> list[_Request]:
        """Return the first request and the following ones of the same size that fit into its batch."""
        chosen = [self._waiting.popleft()]
        largest_batch = self._estimator.largest_batch if self._estimator is not None else 1
        while self._waiting and len(chosen) < largest_batch:
            if self._waiting[0].frame.image.shape != chosen[0].frame.image.shape:
                break
            chosen.append(self._waiting.popleft())
        return chosen

    def _run(self, requests: list[_Request]) -> None:
        try:
            results = self._estimates([request.frame for request in requests])
            for request, result in zip(requests, results, strict=True):
                request.result = result
            self._failures_in_a_row, self._out_of_memory = 0, False
        except Exception as error:
            self._failures_in_a_row += 1
            self._out_of_memory = isinstance(error, OutOfMemory)
            for request in requests:
                request.error = error
        finally:
            with self._changed:
                for request in requests:
                    request.done = True
                self._busy, self._running = False, []
                self._changed.notify_all()

    def _estimates(self, frames: list[Frame]) -> list[DepthEstimate]:
        if self._estimator is None:
            raise self._load_error
        return [self._estimator.estimate(frames[0])] if len(frames) == 1 else self._estimator.estimate_batch(frames)


class SharedEstimator:
    """One camera's share of a network."""

    def __init__(self, network: _SharedNetwork, release: Callable[[], None]) -> None:
        self.name, self.caution, self.simulator_only = network.name, network.caution, network.simulator_only
        self.prompt_size = network.prompt_size
        self._network = network
        self._release = release
        self._request: _Request | None = None

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate the depth of an image; wait until the network is free.

        Raises:
            EstimatorError: the network failed on the frame or on its batch.
        """
        self._request = _Request(frame)
        try:
            return self._network.estimate(self._request)
        finally:
            self._request = None

    def cancel(self) -> None:
        """End this camera's frame soon; frames of other cameras continue, unless they are in the same batch."""
        request = self._request
        if request is not None:
            self._network.cancel(request)

    def close(self) -> None:
        """Release the share; the network is closed with its last share."""
        self._release()


class SharedNetworks:
    """Networks that are loaded once for several cameras; equal keys share a network."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._networks: dict[Hashable, _SharedNetwork] = {}

    def get(self, key: Hashable, load: Callable[[], BatchEstimator]) -> SharedEstimator:
        """Return a share of the network of a key.

        The network is loaded if no camera uses it. If it has failed repeatedly, it is loaded again for all cameras
        that share it.

        Raises:
            Exception: any error of ``load``.
        """
        with self._lock:  # not held while loading, which can take minutes
            network = self._networks.setdefault(key, _SharedNetwork())
            network.shares += 1
        release = partial(self._release, key, network)
        try:
            network.ensure_loaded(load)
        except BaseException:
            release()
            raise
        return SharedEstimator(network, release)

    def _release(self, key: Hashable, network: _SharedNetwork) -> None:
        with self._lock:
            network.shares -= 1
            if network.shares:
                return
            del self._networks[key]
        network.close()
