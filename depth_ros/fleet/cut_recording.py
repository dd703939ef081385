"""A long recording that several workers process in parts."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

from depth_ros.bags.bag_segments import join_bags, joined_report, segments_of
from depth_ros.errors import DepthRosError
from depth_ros.fleet.finished_work import make_result
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
        self._folder = Path(f'{task.target}.segments')
        self.tasks = [
            replace(
                task,
                name=f'{task.name}/{index:04d}',
                target=str(self._folder / f'{index:04d}'),
                made_from={**task.made_from, 'segment': asdict(segment)},
                segment=segment,
            )
            for index, segment in enumerate(segments_of(Path(task.source), length_s, overlap))
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
            join_bags([Path(each.target) for each in self.tasks], part, mcap)
            return report

        try:
            figures = make_result(Path(self._task.target), self._task.made_from, make)
        except DepthRosError as error:
            return TaskOutcome(self._task, None, str(error), attempts)
        shutil.rmtree(self._folder, ignore_errors=True)
        return TaskOutcome(self._task, figures, attempts=attempts)
