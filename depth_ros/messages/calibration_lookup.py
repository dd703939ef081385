"""Lookup of the calibration of an image, by one rule for live topics and recordings."""

from bisect import bisect_right, insort
from typing import Any, Generic, TypeVar

from depth_ros.messages.read_messages import calibration, stamp_ns
from depth_ros.types import Calibration

T = TypeVar('T')


class CalibrationLookup(Generic[T]):
    """Finds the calibration of an image by stamp: the same stamp, otherwise the newest before it, otherwise the oldest.

    Args:
        max_count: Number of calibrations kept, the oldest are discarded first; None keeps all, as for a recording.
    """

    def __init__(self, max_count: int | None = None) -> None:
        self._max_count = max_count
        self._stamps: list[int] = []
        self._by_stamp: dict[int, T] = {}

    def add(self, stamp_ns: int, calibration: T) -> None:
        """Add a calibration; it replaces an earlier one with the same stamp."""
        self._by_stamp.pop(stamp_ns, None)
        self._by_stamp[stamp_ns] = calibration
        if self._max_count is not None and len(self._by_stamp) > self._max_count:
            del self._by_stamp[next(iter(self._by_stamp))]
            self._stamps = sorted(self._by_stamp)
        elif stamp_ns not in self._stamps:
            insort(self._stamps, stamp_ns)

    def exact(self, stamp_ns: int) -> T | None:
        """Return the calibration with this stamp; None if there is none."""
        return self._by_stamp.get(stamp_ns)

    def at(self, stamp_ns: int) -> T | None:
        """Return the calibration that applies to an image of this stamp; None only if no calibration was added."""
        if not self._stamps:
            return None
        return self._by_stamp[self._stamps[max(bisect_right(self._stamps, stamp_ns) - 1, 0)]]


def keep_camera_info(lookup: CalibrationLookup[Calibration], message: Any) -> None:
    """Add a CameraInfo to a lookup."""
    lookup.add(stamp_ns(message.header.stamp), calibration(message))


_MAX_COUNT = 10


class LiveCalibrations(CalibrationLookup[T]):
    """The calibrations of a live topic, and whether images should wait for the calibration with their stamp.

    Most drivers publish a calibration with every image, some only rarely or once. The former is assumed until an image
    has waited for a calibration that did not arrive, and again as soon as a calibration and an image have equal
    stamps.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_COUNT)
        self._image_stamp_ns: int | None = None
        self.comes_with_images = True
        """Whether a calibration with the stamp of each image is expected."""

    def add(self, stamp_ns: int, calibration: T) -> None:
        """Add a calibration."""
        self.comes_with_images |= stamp_ns == self._image_stamp_ns
        super().add(stamp_ns, calibration)

    def exact(self, stamp_ns: int) -> T | None:
        """Return the calibration of an image's stamp; None if it has not arrived."""
        self._image_stamp_ns = stamp_ns
        calibration = super().exact(stamp_ns)
        self.comes_with_images |= calibration is not None
        return calibration

    def stop_waiting(self) -> None:
        """Stop later images from waiting for a calibration with their stamp, if any calibration was received."""
        self.comes_with_images = not self._by_stamp
