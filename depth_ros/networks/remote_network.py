"""A network on an inference server, with reconnection and a network on this machine as its substitute."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from depth_ros.errors import DepthRosError, DeviceUnavailable, InferenceError, ServerUnavailable
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import Runtime
from depth_ros.types import DepthEstimate, Frame, RawDisparity, StereoFrame

_MAX_FAILURES_IN_A_ROW = 3
"""Number of failed calls in a row after which the connection is given up."""
_MIN_PAUSE_S, _MAX_PAUSE_S = 0.5, 30.0
_STABLE_S = 30.0
"""Age of a connection after whose loss the pauses start again with the shortest one."""
_POLL_S, _CLOSE_S = 0.05, 1.0

NetworkT = TypeVar('NetworkT', MonoNetwork, StereoNetwork)
ResultT = TypeVar('ResultT')


class _RemoteNetwork(Generic[NetworkT]):
    """Uses the network on the server while it answers, otherwise the substitute if there is one.

    A frame is estimated by one network alone: if the server fails, the frame is lost, and the next one is estimated by
    the substitute. The connection is given up when the server is unavailable, or after three failed calls in a row. A
    thread then connects again, after pauses of 0.5, 1, 2, … at most 30 s; each connection is checked as when the
    network is loaded, with the metadata of the server and with the self-check image.

    Args:
        url: Address of the model, for messages.
        connect: Connects to the server.
        check: Makes the network of a connection; it closes the connection if the check fails.
        substitute: Network on this machine; None = none.
        listener: Receives every change; it is polled for cancellation during the first attempt.

    Raises:
        ModelError: the server serves another model than the manifest describes.
        ServerUnavailable: the first attempt failed, and ``listener.waits_for_server`` is false.
        InferenceError: cancelled by the listener, or tritonclient is not installed.
    """

    def __init__(
        self,
        url: str,
        connect: Callable[[], Runtime],
        check: Callable[[Runtime], NetworkT],
        substitute: NetworkT | None,
        listener: ProgressListener,
    ) -> None:
        self._url = url
        self._connect = connect
        self._check: Callable[[Runtime], NetworkT] = check
        self._substitute: NetworkT | None = substitute
        self._listener = listener
        self._lock = threading.Lock()
        self._remote: NetworkT | None = None
        self._running: NetworkT | None = None
        self._connecting: Runtime | None = None
        self._reason: DepthRosError = ServerUnavailable(f'{url}: connecting')
        """Why the server is not used."""
        self._connected_s = 0.0
        self._failures_in_a_row = 0
        self._pause_s = _MIN_PAUSE_S
        self._tried = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._reconnect, args=(0.0,), name='reconnect', daemon=True)
        self._thread.start()
        try:
            self._wait_for_first_attempt()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Name of the network that estimates the next frame."""
        network = self._current()
        return network.name if network is not None else f'{self._url} (unavailable)'

    @property
    def caution(self) -> str:
        """Caution of the current network."""
        network = self._current()
        return network.caution if network is not None else ''

    @property
    def simulator_only(self) -> bool:
        """Whether the current network is valid for simulated images only."""
        network = self._current()
        return network is not None and network.simulator_only

    @property
    def largest_batch(self) -> int:
        """Largest number of images per run of the current network."""
        network = self._current()
        return network.largest_batch if network is not None else 1

    @property
    def prompt_size(self) -> tuple[int, int] | None:
        """Width and height of the prompt depth that the current network needs; None if it needs none."""
        network = self._current()
        return network.prompt_size if network is not None else None

    @property
    def substituted(self) -> str:
        """Why the substitute is used; empty = it is not."""
        return f'{self.name} is used because {self._reason}' if self._remote is None and self._substitute else ''

    @property
    def unavailable(self) -> str:
        """Why no frame can be estimated; empty = frames can be estimated."""
        return '' if self._current() is not None else str(self._reason)

    def cancel(self) -> None:
        """Make a running estimate raise soon."""
        running = self._running
        if running is not None:
            running.cancel()

    def close(self) -> None:
        """End the connection and the thread, and release the substitute."""
        with self._lock:
            self._closed.set()
        connecting = self._connecting
        if connecting is not None:
            connecting.cancel()
        self._thread.join(_CLOSE_S)
        with self._lock:
            remote, self._remote = self._remote, None
        for network in filter(None, (remote, self._substitute)):
            network.close()

    def _run(self, estimate: Callable[[NetworkT], ResultT]) -> ResultT:
        """Estimate with the current network; give the connection up if the server fails."""
        with self._lock:
            remote = self._remote
        network = remote or self._substitute
        if network is None:
            raise ServerUnavailable(str(self._reason))
        self._running = network
        try:
            result = estimate(network)
        except InferenceError as error:
            if remote is not None and not self._closed.is_set():
                self._failed(remote, error)
            raise
        finally:
            self._running = None
        if remote is not None:
            self._failures_in_a_row = 0
        return result

    def _failed(self, remote: NetworkT, error: InferenceError) -> None:
        self._failures_in_a_row += 1
        if not isinstance(error, ServerUnavailable) and self._failures_in_a_row < _MAX_FAILURES_IN_A_ROW:
            return
        if time.monotonic() - self._connected_s > _STABLE_S:
            self._pause_s = _MIN_PAUSE_S
        with self._lock:
            self._remote, self._reason = None, error
        remote.close()
        self._listener.warn(self.substituted or f'no depth: {error}')
        self._thread = threading.Thread(target=self._reconnect, args=(self._pause_s,), name='reconnect', daemon=True)
        self._thread.start()

    def _current(self) -> NetworkT | None:
        return self._remote or self._substitute

    # The thread that connects.

    def _reconnect(self, pause_s: float) -> None:
        """Connect, again and again until it succeeds or the network is closed."""
        while not self._closed.wait(pause_s):
            pause_s = self._pause_s
            self._pause_s = min(2 * self._pause_s, _MAX_PAUSE_S)
            try:
                self._connecting = self._connect()
                network = self._check(self._connecting)
            except Exception as error:  # an unexpected one must not end the attempts
                unexpected = InferenceError(f'{self._url}: {type(error).__name__}: {error}')
                self._reason = error if isinstance(error, DepthRosError) else unexpected
                self._tried.set()
                continue
            finally:
                self._connecting = None
            with self._lock:
                unused = self._closed.is_set()
                if not unused:
                    self._remote, self._failures_in_a_row, self._connected_s = network, 0, time.monotonic()
            if unused:
                network.close()
            elif self._tried.is_set():
                self._listener.warn(f'the server is available: {network.name} is used')
            self._tried.set()
            return

    def _wait_for_first_attempt(self) -> None:
        """Wait until the server has answered or failed."""
        while not self._tried.wait(_POLL_S):
            if self._listener.cancelled():
                raise InferenceError(f'{self._url}: cancelled while connecting')
        if self._remote is not None:
            return
        may_succeed = isinstance(self._reason, InferenceError) and not isinstance(self._reason, DeviceUnavailable)
        if not (may_succeed and self._listener.waits_for_server):
            raise self._reason
        self._listener.warn(self.substituted or f'no depth until the server is available: {self._reason}')


class RemoteMonoNetwork(_RemoteNetwork[MonoNetwork]):
    """Depth from one image."""

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate the depth of one image.

        Raises:
            BadInput, EstimatorError: as ``MonoNetwork.estimate``.
            ServerUnavailable: the server is unavailable, and there is no substitute.
        """
        return self._run(lambda network: network.estimate(frame))

    def estimate_batch(self, frames: Sequence[Frame]) -> list[DepthEstimate]:
        """Estimate several images of one size, together as far as the current network allows it.

        Raises:
            BadInput, EstimatorError: as ``estimate``.
        """

        def estimates(network: MonoNetwork) -> list[DepthEstimate]:
            size = network.largest_batch
            if size == 1:
                return [network.estimate(frame) for frame in frames]
            chunks = [frames[i : i + size] for i in range(0, len(frames), size)]
            return [estimate for chunk in chunks for estimate in network.estimate_batch(chunk)]

        return self._run(estimates)


class RemoteStereoNetwork(_RemoteNetwork[StereoNetwork]):
    """Disparity from a stereo pair."""

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Estimate the disparity of one pair.

        Raises:
            EstimatorError: as ``StereoNetwork.estimate``.
            ServerUnavailable: the server is unavailable, and there is no substitute.
        """
        return self._run(lambda network: network.estimate(frame))
