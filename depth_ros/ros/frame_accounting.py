"""Counters of frames: at any time, received = published + dropped + in flight."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from depth_ros.messages.drop_reasons import DropReason

_WINDOW = 300


@dataclass(frozen=True)
class FrameCounts:
    """A consistent snapshot of the counters."""

    received: int
    published: int
    in_flight: int
    dropped: dict[DropReason, int]
    """Dropped frames by reason."""
    rate_hz: float
    """Frames published per second, over the last 5 s."""
    age_ms: dict[str, float]
    """p50, p95 and p99 of the time from the stamp of an image to its publication; empty before the first one."""
    work_ms: float
    """Median time from the start of processing to publication."""
    mean_skew_ms: float
    """Mean absolute difference of left and right stamps."""

    @property
    def summary(self) -> str:
        """The counters in one line, for the log."""
        dropped = ', '.join(f'{count} {reason}' for reason, count in sorted(self.dropped.items())) or 'none'
        in_flight = f', in flight: {self.in_flight}' if self.in_flight else ''
        return f'{self.received} frames received, {self.published} published, dropped: {dropped}{in_flight}'


class FrameAccounting:
    """Counts frames. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._received = self._published = 0
        self._dropped: Counter[DropReason] = Counter()
        self._published_at: deque[float] = deque(maxlen=_WINDOW)
        self._age_ms: deque[float] = deque(maxlen=_WINDOW)
        self._work_ms: deque[float] = deque(maxlen=_WINDOW)
        self._skew_ms: deque[float] = deque(maxlen=_WINDOW)

    def receive(self) -> None:
        """Count a frame whose image, or left image, was received."""
        with self._lock:
            self._received += 1

    def drop(self, reason: DropReason) -> None:
        """Count a dropped frame."""
        with self._lock:
            self._dropped[reason] += 1

    def pair(self, skew_ns: int) -> None:
        """Record the skew of a pair."""
        with self._lock:
            self._skew_ms.append(abs(skew_ns) / 1e6)

    def publish(self, age_s: float, work_s: float) -> None:
        """Count a frame whose results were published."""
        with self._lock:
            self._published += 1
            self._published_at.append(self._clock())
            self._age_ms.append(age_s * 1e3)
            self._work_ms.append(work_s * 1e3)

    def counts(self) -> FrameCounts:
        """Return the current counters."""
        with self._lock:
            finished = self._published + sum(self._dropped.values())
            recent = [t for t in self._published_at if t > self._clock() - 5.0]
            span = self._clock() - recent[0] if recent else 0.0
            age = dict(zip(('p50', 'p95', 'p99'), np.percentile(self._age_ms, (50, 95, 99)), strict=True)) \
                if self._age_ms else {}  # fmt: skip
            return FrameCounts(
                received=self._received,
                published=self._published,
                in_flight=self._received - finished,
                dropped=dict(self._dropped),
                rate_hz=len(recent) / span if span > 0.2 else 0.0,
                age_ms={name: float(value) for name, value in age.items()},
                work_ms=float(np.median(self._work_ms)) if self._work_ms else 0.0,
                mean_skew_ms=float(np.mean(self._skew_ms)) if self._skew_ms else 0.0,
            )
