"""The estimator of a node, which can be replaced while the node runs."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from depth_ros.errors import DepthRosError, EstimatorError
from depth_ros.estimators.estimator import AnyEstimator
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.parameter_table import Part, built_from

EstimatorT = TypeVar('EstimatorT', bound=AnyEstimator)
SettingsT = TypeVar('SettingsT', bound=Settings)


class SwappableEstimator(Generic[EstimatorT, SettingsT]):
    """Owns one estimator at a time.

    A matcher is built immediately. A network is loaded and checked on a separate thread while the old estimator
    remains in use; if loading fails, the old one is kept and the reason is reported once. An estimator that is renewed
    is closed before it is built again, because there may not be enough memory for both. Every estimator is closed
    exactly once: when it has been replaced, when it is no longer needed after loading, or by ``close``; never while it
    processes a frame.

    Args:
        make: Builds the estimator for given settings.
        settings: Settings of the first estimator.
        report: Called with kind and text of a problem if a network could not be loaded.

    Raises:
        DepthRosError: the first estimator could not be built.
    """

    def __init__(
        self, make: Callable[[SettingsT], EstimatorT], settings: SettingsT, report: Callable[[str, str], None]
    ) -> None:
        self._make = make
        self._report = report
        self._lock = threading.Lock()
        self._requested: Hashable = estimator_key(settings)
        """Key of the estimator that was built, is being built or could not be built; None = build it again."""
        self._estimator = make(settings)
        self._open = True
        """Whether the estimator has not been closed yet."""
        self._in_use = False
        self._replaced: list[EstimatorT] = []
        """Estimators to close as soon as the current frame has been processed."""
        self._closed = False

    @property
    def name(self) -> str:
        """Name of the current estimator."""
        return self._estimator.name

    @property
    def caution(self) -> str:
        """Warning about the current estimator; empty if there is none."""
        return str(getattr(self._estimator, 'caution', ''))

    @property
    def simulator_only(self) -> bool:
        """Whether the current estimator is valid for simulated images only."""
        return bool(getattr(self._estimator, 'simulator_only', False))

    @property
    def takes_prompt(self) -> bool:
        """Whether the current estimator takes a measured depth with every image."""
        return getattr(self._estimator, 'prompt_size', None) is not None

    @contextmanager
    def use(self, settings: SettingsT) -> Iterator[EstimatorT]:
        """Provide the estimator for one frame, and start to build another one if the settings have changed.

        Raises:
            DepthRosError: the estimator was to be renewed and could not be built; the next call tries again.
        """
        self._update(settings)
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
            for replaced in unused:
                replaced.close()

    def renew(self) -> None:
        """Build the estimator again with the next frame."""
        with self._lock:
            self._requested = None

    def cancel(self) -> None:
        """Request a running estimate to end soon."""
        self._estimator.cancel()

    def close(self) -> None:
        """Close the estimator, immediately or after the current frame; call this once."""
        with self._lock:
            self._closed = True
            unused = self._released()
        if unused is not None:
            unused.close()

    def _update(self, settings: SettingsT) -> None:
        key = estimator_key(settings)
        with self._lock:
            if key == self._requested:
                return
            renewing = self._requested is None
            if not renewing:
                self._requested = key
        if renewing:
            self._renew(settings)
        elif settings.model:
            threading.Thread(target=self._load, args=(settings,), name='model loader', daemon=True).start()
        else:
            self._load(settings)

    def _renew(self, settings: SettingsT) -> None:
        with self._lock:
            unused = self._released()
        if unused is not None:
            unused.close()
        estimator = self._make(settings)
        with self._lock:
            self._requested = estimator_key(settings)
        self._install(estimator, settings)

    def _load(self, settings: SettingsT) -> None:
        try:
            estimator = self._make(settings)
        except DepthRosError as error:
            self._report('model', f"model '{settings.model}' cannot be loaded, {self.name} remains in use: {error}")
            return
        self._install(estimator, settings)

    def _install(self, estimator: EstimatorT, settings: SettingsT) -> None:
        """Use a new estimator, unless the settings have changed again."""
        with self._lock:
            unused: EstimatorT | None = estimator
            if not self._closed and self._requested == estimator_key(settings):
                unused = self._released()
                self._estimator, self._open = estimator, True
        if unused is not None:
            unused.close()

    def _released(self) -> EstimatorT | None:
        """Return the estimator if it must be closed now; requires the lock."""
        was_open, self._open = self._open, False
        if was_open and self._in_use:
            self._replaced.append(self._estimator)
            return None
        return self._estimator if was_open else None


def estimator_key(settings: Settings) -> Hashable:
    """Return the settings from which an estimator is built; equal keys give equal estimators."""
    part: Part = 'network' if settings.model else 'matcher'
    return part, built_from(settings, part)
