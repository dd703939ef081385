"""Suggestion of a similar topic for a topic without a publisher."""

import difflib
from collections.abc import Collection


def similar_topic(argument: str, topic: str, candidates: Collection[str]) -> str | None:
    """Return the candidate whose name is most similar, preferably of the same side; None if there are none.

    Args:
        argument: Name of the topic in the code, such as ``left/image_rect``.
        topic: The same after namespace and remapping.
        candidates: Topics of the same type that are published.
    """
    parts = argument.replace('_', '/').split('/')
    side = next((part for part in parts if part in ('left', 'right')), '')
    same_side = [name for name in candidates if side in name]
    similar = difflib.get_close_matches(topic, same_side or candidates, n=1, cutoff=0.0)
    return similar[0] if similar else None


def remap_to(argument: str, topic: str) -> str:
    """Return the arguments that set the topic of an input, for ros2 launch and on the command line."""
    launch_argument = argument.removesuffix('/compressed').replace('/', '_')
    return f'{launch_argument}:={topic.removesuffix("/compressed")} in ros2 launch, or -r {argument}:={topic}'
