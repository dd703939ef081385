"""Several inputs as one."""

from collections.abc import Mapping

from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.depth_node import NodeInput


class JoinedInputs:
    """Opens, follows and closes its parts together."""

    def __init__(self, *parts: NodeInput) -> None:
        self._parts = parts

    @property
    def subscriptions(self) -> Mapping[str, AdoptingSubscription]:
        """Of all parts, by what they are for."""
        return {role: subscription for part in self._parts for role, subscription in part.subscriptions.items()}

    def refresh(self) -> None:
        """Follow publishers that came or went."""
        for part in self._parts:
            part.refresh()

    def close(self) -> None:
        """Unsubscribe and account for what still waited."""
        for part in self._parts:
            part.close()
