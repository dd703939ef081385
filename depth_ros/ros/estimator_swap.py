"""Holds the estimator that the settings ask for, and exchanges it while the old one serves."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from depth_ros.errors import DepthRosError, EstimatorError
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.parameter_table import Part, built_from


class AnyEstimator(Protocol):
    """What a slot needs of an estimator."""

    name: str

    def cancel(self) -> None:
        """Ask a running estimate to end soon."""
        ...

    def close(self) -> None:
        """Release memory and device; called exactly once, when no estimate is running."""
        ...


EstimatorT = TypeVar('EstimatorT', bound=AnyEstimator)
SettingsT = TypeVar('SettingsT', bound=Settings)


class SwappableEstimator(Generic[EstimatorT, SettingsT]):
    """Owns one estimator at a time.

    A matcher is built at once. A network is loaded and checked on a thread of its own while the old estimator goes on;
    if it cannot be loaded, the old one stays and the reason is told once. One that is renewed is closed before it is
    built again, because the memory of both may not be there. Every estimator that was built is closed exactly once:
    when it has been replaced, when nobody wants it any more, or with the slot; but never while a frame uses it.

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
        self._open = True
        """Whether the estimator is still to be closed."""
        self._in_use = False
        self._replaced: list[EstimatorT] = []
        """To be closed when the frame that uses them is done."""
        self._closed = False

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
        """Whether the estimator that serves is valid for images of a simulator only."""
        return bool(getattr(self._estimator, 'simulator_only', False))

    @contextmanager
    def serving(self, settings: SettingsT) -> Iterator[EstimatorT]:
        """Lend the estimator for one frame, and start to build another one if the settings ask for it.

        Raises:
            DepthRosError: it was to be renewed, and cannot be built; the next call tries again.
        """
        self._follow(settings)
        with self._lock:
            if self._closed:
                raise EstimatorError('the node no longer uses this estimator')
            self._in_use, estimator = True, self._estimator
        try:
            yield estimator
        finally:
            with self._lock:
                self._in_use = False
                unused, self._replaced = self._replaced, []
            for each in unused:
                each.close()

    def renew(self) -> None:
        """Build the estimator anew with the next frame."""
        with self._lock:
            self._tried = None

    def cancel(self) -> None:
        """Ask a running estimate to end soon."""
        self._estimator.cancel()

    def close(self) -> None:
        """Close the estimator, at once or with the end of the frame that uses it; call it once."""
        with self._lock:
            self._closed = True
            unused = self._given_up()
        if unused is not None:
            unused.close()

    def _follow(self, settings: SettingsT) -> None:
        key = estimator_key(settings)
        with self._lock:
            if key == self._tried:
                return
            renewing = self._tried is None
            if not renewing:
                self._tried = key
        if renewing:
            self._renew(settings)
        elif settings.model:
            threading.Thread(target=self._load, args=(settings,), name='model loader', daemon=True).start()
        else:
            self._load(settings)

    def _renew(self, settings: SettingsT) -> None:
        with self._lock:
            unused = self._given_up()
        if unused is not None:
            unused.close()
        estimator = self._make(settings)
        with self._lock:
            self._tried = estimator_key(settings)
        self._take(estimator, settings)

    def _load(self, settings: SettingsT) -> None:
        try:
            estimator = self._make(settings)
        except DepthRosError as error:
            self._complain('model', f"model '{settings.model}' is not taken, {self.name} goes on: {error}")
            return
        self._take(estimator, settings)

    def _take(self, estimator: EstimatorT, settings: SettingsT) -> None:
        """Let a new estimator serve, unless something else has been asked for meanwhile."""
        with self._lock:
            unused: EstimatorT | None = estimator
            if not self._closed and self._tried == estimator_key(settings):
                unused = self._given_up()
                self._estimator, self._open = estimator, True
        if unused is not None:
            unused.close()

    def _given_up(self) -> EstimatorT | None:
        """Return the estimator if it is to be closed now; with the lock held."""
        was_open, self._open = self._open, False
        if was_open and self._in_use:
            self._replaced.append(self._estimator)
            return None
        return self._estimator if was_open else None


def estimator_key(settings: Settings) -> Hashable:
    """Return what an estimator is built from; equal keys make equal estimators."""
    part: Part = 'network' if settings.model else 'matcher'
    return part, built_from(settings, part)
