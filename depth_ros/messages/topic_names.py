"""Names of a node's topics in a recording: the rules of ``-r from:=to``."""

from collections.abc import Sequence
from dataclasses import dataclass

Remap = tuple[str, str]
"""From, to; a name without a leading slash is below the namespace of the node."""


@dataclass(frozen=True)
class TopicNames:
    """Resolves names as a node does: the namespace comes first, then the first remapping that matches."""

    namespace: str = ''
    remaps: Sequence[Remap] = ()

    def __call__(self, topic: str) -> str:
        """Return the full name of a topic in the recording."""
        name = self.full(topic)
        return next((self.full(to) for source, to in self.remaps if self.full(source) == name), name)

    def full(self, topic: str) -> str:
        """Return the full name of a topic before remapping."""
        return topic if topic.startswith('/') else f'{self.namespace}/{topic}'
