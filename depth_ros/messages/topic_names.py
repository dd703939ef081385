"""Names of the topics of a node in a recording, with the rules of ``-r from:=to``."""

from collections.abc import Sequence
from dataclasses import dataclass

Remap = tuple[str, str]
"""(from, to); a name without a leading slash is relative to the namespace of the node."""


@dataclass(frozen=True)
class TopicNames:
    """Resolves topic names as a node does: the namespace is added, then the first matching remapping is applied."""

    namespace: str = ''
    remaps: Sequence[Remap] = ()

    def __call__(self, topic: str) -> str:
        """Return the full name of a topic in the recording."""
        name = self.full(topic)
        return next((self.full(to) for source, to in self.remaps if self.full(source) == name), name)

    def full(self, topic: str) -> str:
        """Return the full name of a topic before remapping."""
        return topic if topic.startswith('/') else f'{self.namespace}/{topic}'
