"""Observations of the ROS graph, collected over a few seconds. Imports no ROS."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ObservedTopic:
    """Observations of one input topic of a node."""

    role: str
    """Role of the topic, such as 'left image'."""
    topic: str
    """Topic name after namespace and remapping."""
    argument: str
    """Topic name in the code, such as left/image_rect."""
    kind: str
    """Type that the node subscribes to, such as sensor_msgs/msg/Image."""
    required: bool = True
    """Whether the node cannot work without the topic."""
    types: list[str] = field(default_factory=list)
    """Types that publishers offer."""
    publishers: list[str] = field(default_factory=list)
    """Names of the nodes that publish the topic."""
    best_effort: bool = False
    """Whether at least one publisher offers best-effort reliability."""
    incompatible: str | None = None
    """QoS policy that prevents delivery; None if there is none."""
    arrived_s: list[float] = field(default_factory=list)
    """Monotonic reception times."""
    stamps_ns: list[int] = field(default_factory=list)
    """Header stamps."""
    ages_s: list[float] = field(default_factory=list)
    """Ages at reception."""
    largest_bytes: int = 0
    """Largest size of the field data."""
    last: Any = None
    """Newest message; None if none was received."""

    @property
    def rate_hz(self) -> float | None:
        """Mean rate between the first and the last message; None with fewer than two messages."""
        if len(self.arrived_s) < 2 or self.arrived_s[-1] <= self.arrived_s[0]:
            return None
        return (len(self.arrived_s) - 1) / (self.arrived_s[-1] - self.arrived_s[0])


@dataclass
class Observations:
    """Observations of the ROS graph."""

    seconds: float
    """Duration of the observation."""
    topics: list[ObservedTopic]
    """Inputs of the node."""
    published: dict[str, str] = field(default_factory=dict)
    """Type (the first one) of every topic that has a publisher, by name."""
    clock: bool = False
    """Whether /clock has a publisher."""
    sim_time: bool = False
    """Whether use_sim_time was true during the observation."""
    duplicate_names: dict[str, int] = field(default_factory=dict)
    """Number of nodes by name, for names that several nodes have."""
    diagnostics: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Level and status message of running depth nodes, by name."""

    missing_transform: tuple[str, str] | None = None
    """Target and source frame of a transform that the node needs and tf does not have; None if there is none."""

    def of(self, role: str) -> ObservedTopic | None:
        """Return the topic with a role."""
        return next((topic for topic in self.topics if topic.role == role), None)
