"""Which calibration belongs to an image: one rule for live topics and for recordings."""

from bisect import bisect_right, insort
from typing import Any, Generic, TypeVar

from depth_ros.messages.read_messages import calibration, stamp_ns
from depth_ros.types import Calibration

T = TypeVar('T')


class CalibrationLookup(Generic[T]):
    """Finds the calibration of an image by stamp: the one of that stamp, else the newest before it, else the oldest.

    Args:
        most: Number of calibrations kept, the oldest are forgotten first; None keeps all, as for a recording.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._stamps: list[int] = []
        self._by_stamp: dict[int, T] = {}

    def add(self, stamp_ns: int, calibration: T) -> None:
        """Keep a calibration; a later one of the same stamp replaces it."""
        self._by_stamp.pop(stamp_ns, None)
        self._by_stamp[stamp_ns] = calibration
        if self._most is not None and len(self._by_stamp) > self._most:
            del self._by_stamp[next(iter(self._by_stamp))]
            self._stamps = sorted(self._by_stamp)
        elif stamp_ns not in self._stamps:
            insort(self._stamps, stamp_ns)

    def exact(self, stamp_ns: int) -> T | None:
        """Return the calibration of this stamp; None if there is none."""
        return self._by_stamp.get(stamp_ns)

    def at(self, stamp_ns: int) -> T | None:
        """Return the calibration that applies to an image of this stamp; None only while there is none at all."""
        if not self._stamps:
            return None
        return self._by_stamp[self._stamps[max(bisect_right(self._stamps, stamp_ns) - 1, 0)]]


def keep_camera_info(lookup: CalibrationLookup[Calibration], message: Any) -> None:
    """Add a CameraInfo to a lookup."""
    lookup.add(stamp_ns(message.header.stamp), calibration(message))


_KEPT = 10


class LiveCalibrations(CalibrationLookup[T]):
    """The calibrations of a live topic, and whether an image should wait for its own.

    Most drivers publish a calibration with every image, some rarely or once. The first kind is assumed until an image
    has waited for nothing, and again as soon as the stamps of a calibration and an image agree.
    """

    def __init__(self) -> None:
        super().__init__(_KEPT)
        self._image_stamp_ns: int | None = None
        self.comes_with_images = True

    def add(self, stamp_ns: int, calibration: T) -> None:
        """Keep a calibration."""
        self.comes_with_images |= stamp_ns == self._image_stamp_ns
        super().add(stamp_ns, calibration)

    def exact(self, stamp_ns: int) -> T | None:
        """Return the calibration of an image's stamp; None if it has not arrived."""
        self._image_stamp_ns = stamp_ns
        found = super().exact(stamp_ns)
        self.comes_with_images |= found is not None
        return found

    def stop_waiting(self) -> None:
        """Note that an image went on without its calibration; while there is none at all, images keep waiting."""
        self.comes_with_images = not self._by_stamp
