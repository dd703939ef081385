"""Shards: the part of a list of recordings that one of several jobs processes."""

import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

from depth_ros.errors import BadSettings

INDEX_VARIABLES = ('JOB_COMPLETION_INDEX', 'SLURM_ARRAY_TASK_ID', 'AWS_BATCH_JOB_ARRAY_INDEX')
"""Environment variables with the number of a job, from 0: indexed jobs of Kubernetes, job arrays of Slurm and AWS."""
T = TypeVar('T')


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return index, from 0, and number of shards from ``I/N``, or from ``N`` and the index in the environment.

    Raises:
        BadSettings: the text is invalid, or there is no index.
    """
    index, _, count = text.rpartition('/')
    source = f"--shard is '{text}'"
    if not index and '/' not in text:
        name = next((each for each in INDEX_VARIABLES if environment.get(each)), None)
        if name is None:
            raise BadSettings(
                f'{source} and the environment has no index; expected I/N, such as 0/10, or one of '
                f'{", ".join(INDEX_VARIABLES)} in the environment'
            )
        index = environment[name]
        source += f' and {name} is {index}'
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise BadSettings(f'{source}; expected I/N with whole numbers and I from 0 to N - 1, such as 0/10')
    return int(index), int(count)


def shard(items: Iterable[T], index: int, count: int) -> list[T]:
    """Return every ``count``-th item in sorted order from the given one; the order of ``items`` has no effect."""
    return sorted(items)[index::count]  # type: ignore[type-var]
