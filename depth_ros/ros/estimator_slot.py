"""Holds the estimator that the settings ask for, and exchanges it while the old one serves."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from depth_ros.common_settings import Settings
from depth_ros.errors import DepthRosError

_OF_THE_ESTIMATOR = (
    'model', 'device', 'allow_fallback', 'threads', 'memory_limit_mb', 'precision', 'picture_size',
    'graph_optimization', 'commercial_only', 'allow_simulator_model', 'quality', 'range_min_m', 'max_disparity',
    'processing_scale',
)  # fmt: skip
"""Settings that an estimator is built from; the others are read for every frame."""


class AnyEstimator(Protocol):
    """What a slot needs of an estimator."""

    name: str

    def cancel(self) -> None:
        """Ask a running estimate to end soon."""
        ...

    def close(self) -> None:
        """Let go of memory and device; it is not used again."""
        ...


EstimatorT = TypeVar('EstimatorT', bound=AnyEstimator)
SettingsT = TypeVar('SettingsT', bound=Settings)


class EstimatorSlot(Generic[EstimatorT, SettingsT]):
    """One estimator at a time.

    A matcher is built at once. A network is loaded and checked on a thread of its own while the old estimator goes on;
    if it cannot be loaded, the old one stays and the reason is told once. One that is renewed is closed before it is
    built again, because the memory of both may not be there.

    Args:
        make: Builds the estimator that settings ask for.
        settings: For the first one.
        complain: Told of a network that could not be loaded.

    Raises:
        DepthRosError: the first estimator could not be built.
    """

    def __init__(
        self, make: Callable[[SettingsT], EstimatorT], settings: SettingsT, complain: Callable[[str, str], None]
    ) -> None:
        self._make = make
        self._complain = complain
        self._lock = threading.Lock()
        self._tried: Hashable = estimator_key(settings)
        """What was built, or is being built, or could not be; None = it is to be built anew."""
        self._estimator = make(settings)

    @property
    def name(self) -> str:
        """Name of the estimator that serves."""
        return self._estimator.name

    @property
    def caution(self) -> str:
        """What a user must be told about the estimator that serves."""
        return str(getattr(self._estimator, 'caution', ''))

    @property
    def simulator_only(self) -> bool:
        """Tell whether the estimator that serves is valid for images of a simulator only."""
        return bool(getattr(self._estimator, 'simulator_only', False))

    def get(self, settings: SettingsT) -> EstimatorT:
        """Return the estimator for a frame, and see to it that the right one will be here soon.

        Raises:
            DepthRosError: it was to be renewed, and cannot be built; the next call tries again.
        """
        with self._lock:
            if estimator_key(settings) == self._tried:
                return self._estimator
            renewing = self._tried is None
            if not renewing:
                self._tried = estimator_key(settings)
        if renewing:
            self._estimator.close()
            self._estimator = self._make(settings)
            with self._lock:
                self._tried = estimator_key(settings)
        elif settings.model:
            threading.Thread(target=self._load, args=(settings,), name='model loader', daemon=True).start()
        else:
            self._load(settings)
        return self._estimator

    def renew(self) -> None:
        """Build the estimator anew with the next frame."""
        with self._lock:
            self._tried = None

    def cancel(self) -> None:
        """Ask a running estimate to end soon."""
        self._estimator.cancel()

    def _load(self, settings: SettingsT) -> None:
        try:
            estimator = self._make(settings)
        except DepthRosError as error:
            self._complain('model', f"model '{settings.model}' is not taken, {self.name} goes on: {error}")
            return
        with self._lock:
            if self._tried == estimator_key(settings):  # else something else has been asked for meanwhile
                self._estimator = estimator


def estimator_key(settings: Settings) -> Hashable:
    """Return what an estimator is built from; equal keys make equal estimators."""
    return tuple(getattr(settings, name, None) for name in _OF_THE_ESTIMATOR)
