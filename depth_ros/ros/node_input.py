"""The subscriptions of a node as one input that is refreshed and closed as a whole."""

from collections.abc import Mapping
from typing import Protocol

from depth_ros.ros.adopting_subscription import AdoptingSubscription


class NodeInput(Protocol):
    """Subscriptions that deliver jobs to the worker."""

    @property
    def subscriptions(self) -> Mapping[str, AdoptingSubscription]:
        """Subscriptions by role, such as ``left image``."""
        ...

    def refresh(self) -> None:
        """Subscribe again where the publishers have changed."""
        ...

    def close(self) -> None:
        """Unsubscribe and count the frames that were still waiting as dropped."""
        ...


class SubscribedInput:
    """Base class of inputs that own their subscriptions."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, AdoptingSubscription] = {}

    def refresh(self) -> None:
        """Subscribe again where the publishers have changed."""
        for subscription in self.subscriptions.values():
            subscription.refresh()

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self.subscriptions.values():
            subscription.close()


class JoinedInputs:
    """Several inputs as one."""

    def __init__(self, *parts: NodeInput) -> None:
        self._parts = parts

    @property
    def subscriptions(self) -> Mapping[str, AdoptingSubscription]:
        """Subscriptions of all parts by role."""
        return {role: subscription for part in self._parts for role, subscription in part.subscriptions.items()}

    def refresh(self) -> None:
        """Refresh all parts."""
        for part in self._parts:
            part.refresh()

    def close(self) -> None:
        """Close all parts."""
        for part in self._parts:
            part.close()
