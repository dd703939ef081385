"""What somebody who listened for a few seconds has seen of a graph; no ROS in it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ObservedTopic:
    """One input of a node."""

    role: str
    """In words, such as 'left image'."""
    topic: str
    """After namespace and remapping."""
    argument: str
    """Name of the topic in the code, such as left/image_rect."""
    kind: str
    """Type that the node subscribes to, such as sensor_msgs/msg/Image."""
    needed: bool = True
    types: list[str] = field(default_factory=list)
    """That the graph has for it."""
    publishers: list[str] = field(default_factory=list)
    """Names of their nodes."""
    best_effort: bool = False
    """Of one of the publishers."""
    incompatible: str | None = None
    """The QoS policy that keeps us from hearing."""
    arrived_s: list[float] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    largest_bytes: int = 0
    last: Any = None
    """The newest message."""

    @property
    def rate_hz(self) -> float | None:
        """Over the time between the first and the last message."""
        if len(self.arrived_s) < 2 or self.arrived_s[-1] <= self.arrived_s[0]:
            return None
        return (len(self.arrived_s) - 1) / (self.arrived_s[-1] - self.arrived_s[0])


@dataclass
class Observations:
    """A graph."""

    seconds: float
    topics: list[ObservedTopic]
    others: dict[str, str] = field(default_factory=dict)
    """All topics of the graph with their (first) type."""
    clock: bool = False
    """Somebody publishes /clock."""
    sim_time: bool = False
    """We listened to it."""
    namesakes: dict[str, int] = field(default_factory=dict)
    """How many nodes have a name, for names of several nodes."""
    diagnostics: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Level and sentence of depth nodes that are running, by name."""

    def of(self, role: str) -> ObservedTopic | None:
        """Return the topic with a role."""
        return next((each for each in self.topics if each.role == role), None)
