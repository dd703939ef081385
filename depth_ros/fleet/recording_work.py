"""Depth of many recordings: what a worker loads once, and what it does for each recording."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from depth_ros.errors import BadFile
from depth_ros.estimators.estimator import AnyEstimator
from depth_ros.fleet.finished_work import store_result
from depth_ros.fleet.storage import local_copy
from depth_ros.fleet.workers import Job, Task
from depth_ros.memory import keep_freed_memory
from depth_ros.messages.topic_names import Remap
from depth_ros.settings.node_settings import NodeSettings

if TYPE_CHECKING:
    from depth_ros.bags.bag_processing import ProcessingReport

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RecordingWork:
    """``bag process`` of recordings that have the same topics."""

    settings: NodeSettings
    namespaces: tuple[str, ...]
    keep_inputs: bool
    mcap: bool
    remaps: tuple[Remap, ...]
    threads: int = 0
    """Number of threads of OpenCV in each worker; 0 = as many as cores."""

    @property
    def options(self) -> dict[str, Any]:
        """Options that affect the results, for their records."""
        return {
            'namespaces': self.namespaces,
            'keep_inputs': self.keep_inputs,
            'mcap': self.mcap,
            'remaps': self.remaps,
        }

    def start(self) -> Job:
        """Load the estimator.

        Raises:
            ModelError, InferenceError: the network is unusable.
        """
        from depth_ros.bags.bag_cameras import load_estimator

        prepare_process(self.threads)
        return partial(self.process, load_estimator(self.settings))

    def process(
        self, estimator: AnyEstimator | None, task: Task, progress: Progress = lambda done, count: None
    ) -> dict[str, Any]:
        """Process one recording; return its ``ProcessingReport`` as a dictionary.

        Raises:
            BadFile, ModelError, InferenceError: as ``process_recording``.
        """
        from depth_ros.bags.bag_processing import process_recording

        def make(part: Path) -> dict[str, Any]:
            report: ProcessingReport = process_recording(
                source,
                part,
                self.settings,
                self.namespaces,
                self.keep_inputs,
                self.mcap,
                progress,
                self.remaps,
                estimator,
                task.segment,
            )
            return asdict(report)

        with local_copy(task.source) as source:
            return store_result(task.target, task.made_from, make)


def prepare_process(threads: int) -> None:
    """Configure memory and threads of a process that computes depth."""
    keep_freed_memory()
    if threads:
        cv2.setNumThreads(threads)


def is_without_depth(figures: dict[str, Any]) -> bool:
    """Return whether the recording has frames and no depth was written."""
    return bool(figures['frames'] and not figures['written'])


def unique_names(sources: list[str]) -> list[str]:
    """Return the names of the results: the last parts of the paths of their sources.

    Raises:
        BadFile: two names are equal.
    """
    names = [Path(each.rpartition('://')[2]).name.replace(':', '_') for each in sources]
    if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
        raise BadFile(
            f'several inputs are named {", ".join(repeated[:5])}; expected unique names. Process inputs of the same '
            'name separately'
        )
    return names
