"""Pairing of left and right messages by stamp, without ROS, threads or a clock."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from depth_ros.messages.drop_reasons import DropReason

Side = Literal['left', 'right']
T = TypeVar('T')

_JUMP_NS = 1_000_000_000
"""A larger step back of the stamps is a jump back in time (for example a bag that loops). A smaller step may be a
message out of order, until a second message follows in order."""
_QUEUE_LENGTH = 10


@dataclass(frozen=True)
class Pair(Generic[T]):
    """Two messages acquired at the same time."""

    left: T
    right: T
    skew_ns: int
    """Right stamp minus left stamp."""


@dataclass
class Outcome(Generic[T]):
    """Result of adding one message."""

    pair: Pair[T] | None = None
    dropped: list[tuple[Side, DropReason]] = field(default_factory=list)
    """Discarded messages, with side and reason."""
    jumped_back: bool = False
    """Whether a jump back in time was detected."""
    missed_by_ns: int | None = None
    """Distance to the nearest message of the other side, if it is larger than ``max_skew_ns``."""


class StereoPairing(Generic[T]):
    """Pairs messages whose stamps differ by at most ``max_skew_ns``; every message is used at most once.

    Messages older than the newest pair are discarded. When stamps jump back, the waiting messages from before the jump
    are discarded and pairing continues at once.
    """

    def __init__(self, max_skew_ns: int = 0, accept_zero_stamps: bool = False) -> None:
        self.max_skew_ns = max_skew_ns
        self.accept_zero_stamps = accept_zero_stamps
        self._waiting: dict[Side, deque[tuple[int, T]]] = {'left': deque(), 'right': deque()}
        self._newest: dict[Side, int | None] = {'left': None, 'right': None}
        self._paired: dict[Side, int | None] = {'left': None, 'right': None}
        self._out_of_order: dict[Side, int | None] = {'left': None, 'right': None}
        """Stamp of the last message, if it was out of order."""

    def add(self, side: Side, stamp_ns: int, message: T) -> Outcome[T]:
        """Add one message and return the result."""
        outcome: Outcome[T] = Outcome()
        if stamp_ns == 0 and not self.accept_zero_stamps:
            outcome.dropped.append((side, DropReason.ZERO_STAMP))
            return outcome
        if self._is_jump_back(side, stamp_ns):
            self._discard_before_jump(stamp_ns, outcome)
        self._newest[side] = max(stamp_ns, self._newest[side] or 0)
        paired = self._paired[side]
        if paired is not None and stamp_ns <= paired and stamp_ns != 0:
            self._out_of_order[side] = stamp_ns
            outcome.dropped.append((side, DropReason.OUT_OF_ORDER))
            return outcome
        self._out_of_order[side] = None
        other: Side = 'right' if side == 'left' else 'left'
        partner = self._nearest(other, stamp_ns)
        skew_ns = abs(self._waiting[other][partner][0] - stamp_ns) if partner is not None else None
        if partner is None or skew_ns is None or skew_ns > self.max_skew_ns:
            outcome.missed_by_ns = skew_ns
            self._keep(side, stamp_ns, message, outcome)
            return outcome
        partner_ns, partner_message = self._waiting[other][partner]
        del self._waiting[other][partner]
        left_ns, right_ns = (stamp_ns, partner_ns) if side == 'left' else (partner_ns, stamp_ns)
        both = (message, partner_message) if side == 'left' else (partner_message, message)
        outcome.pair = Pair(*both, right_ns - left_ns)
        self._retire(left_ns, right_ns, outcome)
        return outcome

    def waiting(self, side: Side) -> int:
        """Return the number of messages of a side that are not paired yet."""
        return len(self._waiting[side])

    def clear(self) -> list[tuple[Side, DropReason]]:
        """Discard all waiting messages and reset the time; return what was dropped."""
        dropped = [(side, DropReason.SHUTDOWN) for side in self._sides() for _ in self._waiting[side]]
        self.__init__(self.max_skew_ns, self.accept_zero_stamps)  # type: ignore[misc]
        return dropped

    def _sides(self) -> Iterator[Side]:
        yield 'left'
        yield 'right'

    def _is_jump_back(self, side: Side, stamp_ns: int) -> bool:
        newest, paired, out_of_order = self._newest[side], self._paired[side], self._out_of_order[side]
        if newest is not None and stamp_ns < newest - _JUMP_NS:
            return True
        return paired is not None and out_of_order is not None and out_of_order < stamp_ns < paired

    def _discard_before_jump(self, stamp_ns: int, outcome: Outcome[T]) -> None:
        outcome.jumped_back = True
        for each in self._sides():
            queue = self._waiting[each]
            keep = deque(item for item in queue if item[0] <= stamp_ns + _JUMP_NS)
            outcome.dropped.extend((each, DropReason.TIME_JUMP) for _ in range(len(queue) - len(keep)))
            self._waiting[each] = keep
            self._newest[each] = max((item[0] for item in keep), default=None)
            paired = self._paired[each]
            if paired is not None and paired > stamp_ns:
                self._paired[each] = None

    def _nearest(self, side: Side, stamp_ns: int) -> int | None:
        queue = self._waiting[side]
        return min(range(len(queue)), key=lambda i: abs(queue[i][0] - stamp_ns), default=None)

    def _keep(self, side: Side, stamp_ns: int, message: T, outcome: Outcome[T]) -> None:
        queue = self._waiting[side]
        if any(waiting_ns == stamp_ns for waiting_ns, _ in queue) and stamp_ns != 0:
            outcome.dropped.append((side, DropReason.DUPLICATE))
            return
        if len(queue) == _QUEUE_LENGTH:
            queue.popleft()
            outcome.dropped.append((side, DropReason.UNPAIRED))
        queue.append((stamp_ns, message))

    def _retire(self, left_ns: int, right_ns: int, outcome: Outcome[T]) -> None:
        for side, stamp_ns in (('left', left_ns), ('right', right_ns)):
            self._paired[side] = stamp_ns  # type: ignore[index]
            queue = self._waiting[side]  # type: ignore[index]
            keep = deque(item for item in queue if item[0] > stamp_ns)
            outcome.dropped.extend((side, DropReason.UNPAIRED) for _ in range(len(queue) - len(keep)))  # type: ignore[misc]
            self._waiting[side] = keep  # type: ignore[index]
