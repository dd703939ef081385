"""Which topic of a graph was probably meant by a name that nobody publishes."""

import difflib
from collections.abc import Collection


def similar_topic(argument: str, topic: str, candidates: Collection[str]) -> str | None:
    """Return the candidate whose name is most similar, preferably of the same side; None if there are none.

    Args:
        argument: Name of the topic in the code, such as ``left/image_rect``.
        topic: The same after namespace and remapping.
        candidates: Topics of the same type that are published.
    """
    words = argument.replace('_', '/').split('/')
    side = next((word for word in words if word in ('left', 'right')), '')
    same_side = [name for name in candidates if side in name]
    near = difflib.get_close_matches(topic, same_side or candidates, n=1, cutoff=0.0)
    return near[0] if near else None


def remap_to(argument: str, topic: str) -> str:
    """Return how the topic of an input is set, in a launch file and on the command line."""
    launch_argument = argument.removesuffix('/compressed').replace('/', '_')
    return f'{launch_argument}:={topic.removesuffix("/compressed")} in ros2 launch, or -r {argument}:={topic}'
