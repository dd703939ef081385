"""Distribution of recordings over workers: who does what, retries after a killed worker, isolation of failures."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from depth_ros.errors import DepthRosError, EstimatorError

MAX_ATTEMPTS = 3
"""How often a recording is started whose worker is killed."""
_MAX_DEATHS_AT_FIRST = 9
"""How many workers may die before one has done anything; then none is expected to."""


@dataclass(frozen=True, order=True)
class Task:
    """One recording, or one dataset, and its result."""

    name: str
    """Unique within a run."""
    source: str
    target: str
    made_from: dict[str, Any] = field(default_factory=dict, compare=False)
    """What the result depends on (``finished_work.py``)."""
    segment: Any = field(default=None, compare=False)
    """Part of the recording (``bag_processing.Segment``); None = all of it."""


@dataclass(frozen=True)
class TaskOutcome:
    """How a task has ended."""

    task: Task
    figures: dict[str, Any] | None
    """Figures of the result; None if it failed."""
    error: str = ''
    attempts: int = 1
    """How often the task was started."""


@dataclass(frozen=True)
class Answer:
    """What a worker reports about its task."""

    figures: dict[str, Any] | None = None
    error: str = ''
    """Why the task failed."""
    death: str = ''
    """How the worker died, if it did; then the task is started again."""


Job = Callable[[Task], dict[str, Any]]
"""Does one task; returns its figures. It raises ``DepthRosError`` if the task fails."""


class Work(Protocol):
    """A kind of task, with what all tasks have in common; it is sent to the workers."""

    def start(self) -> Job:
        """Load what all tasks need, once per worker."""
        ...


class Workers(Protocol):
    """Processes that do one task at a time: on this machine, on a cluster, or a fake for tests."""

    capacity: int
    """Number of workers to start if the user gives none."""

    def start(self) -> Hashable:
        """Start a worker."""
        ...

    def give(self, worker: Any, task: Task) -> None:
        """Pass a task to a worker that has none."""
        ...

    def wait(self) -> tuple[Hashable, Answer]:
        """Wait until a worker has done its task or has died.

        Raises:
            DepthRosError: the workers cannot do any task.
        """
        ...

    def stop(self) -> None:
        """End all workers, including those that have a task."""
        ...


def run_tasks(workers: Workers, count: int, tasks: Sequence[Task]) -> Iterator[TaskOutcome]:
    """Yield the outcome of every task, in the order in which they end; stop the workers at the end.

    Args:
        workers: Where the tasks are done.
        count: Number of workers.
        tasks: The tasks, in the order in which they are started.

    Raises:
        DepthRosError: the workers cannot do any task.
    """
    waiting = deque((task, 1) for task in tasks)
    busy: dict[Hashable, tuple[Task, int]] = {}
    deaths, any_answer = 0, False

    def give_next(worker: Hashable) -> None:
        busy[worker] = waiting.popleft()
        workers.give(worker, busy[worker][0])

    try:
        for _ in range(min(count, len(tasks))):
            give_next(workers.start())
        while busy:
            worker, answer = workers.wait()
            if worker not in busy:  # it died when it had nothing to do
                continue
            task, attempt = busy.pop(worker)
            deaths, any_answer = deaths + bool(answer.death), any_answer or not answer.death
            if deaths == _MAX_DEATHS_AT_FIRST and not any_answer and len(tasks) > MAX_ATTEMPTS:
                raise EstimatorError(f'{deaths} workers died and none has done anything: {answer.death}')
            if answer.death and attempt < MAX_ATTEMPTS:
                waiting.appendleft((task, attempt + 1))
            elif answer.death:
                yield TaskOutcome(task, None, f'{answer.death}, {attempt} times', attempt)
            else:
                yield TaskOutcome(task, answer.figures, answer.error, attempt)
            if waiting:
                give_next(workers.start() if answer.death else worker)
    finally:
        workers.stop()


def answer_of(job: Job, task: Task) -> Answer:
    """Do a task; return its figures or why it failed."""
    try:
        return Answer(job(task))
    except DepthRosError as error:
        return Answer(error=str(error))
    except Exception as error:  # a damaged recording may raise anything; the other tasks must not suffer
        return Answer(error=f'{type(error).__name__}: {error}')
