"""A long recording that several workers process in parts."""

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from depth_ros.bags.bag_segments import join_bags, joined_report, segments_of
from depth_ros.errors import DepthRosError
from depth_ros.fleet.finished_work import store_result
from depth_ros.fleet.storage import local_copy, remove
from depth_ros.fleet.workers import Task, TaskOutcome


class CutRecording:
    """The tasks of the segments of a recording; their results are in ``<target>.segments`` until they are joined.

    Args:
        task: The recording.
        length_s: Length of a segment, seconds.
        overlap: Time before a segment that is also processed, seconds.

    Raises:
        BadFile: the recording cannot be read.
    """

    def __init__(self, task: Task, length_s: float, overlap: float) -> None:
        self._task = task
        self._folder = f'{task.target}.segments'
        with local_copy(task.source) as source:
            segments = segments_of(source, length_s, overlap)
        self.tasks = [
            replace(
                task,
                name=f'{task.name}/{index:04d}',
                target=f'{self._folder}/{index:04d}',
                made_from={**task.made_from, 'segment': asdict(segment)},
                segment=segment,
            )
            for index, segment in enumerate(segments)
        ]
        self._outcomes: dict[str, TaskOutcome] = {}

    def add(self, outcome: TaskOutcome) -> bool:
        """Add the outcome of a segment; return whether it was the last one."""
        self._outcomes[outcome.task.name] = outcome
        return len(self._outcomes) == len(self.tasks)

    def join(self, mcap: bool) -> TaskOutcome:
        """Join the results of all segments and remove them; they are kept if one has failed."""
        outcomes = [self._outcomes[each.name] for each in self.tasks]
        attempts = max(each.attempts for each in outcomes)
        if errors := [each.error for each in outcomes if each.figures is None]:
            return TaskOutcome(self._task, None, errors[0], attempts)
        report = joined_report([each.figures for each in outcomes if each.figures is not None])

        def make(part: Path) -> dict[str, object]:
            with ExitStack() as copies:
                join_bags([copies.enter_context(local_copy(each.target)) for each in self.tasks], part, mcap)
            return report

        try:
            figures = store_result(self._task.target, self._task.made_from, make)
        except DepthRosError as error:
            return TaskOutcome(self._task, None, str(error), attempts)
        remove(self._folder)
        return TaskOutcome(self._task, figures, attempts=attempts)
