"""Work for the tests of the fleet: tasks that write a file, fail, or kill their worker."""

import os
import signal
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from depth_ros.errors import BadFile, ModelLoadError
from depth_ros.fleet.workers import Answer, Task, answer_of


@dataclass(frozen=True)
class SmallWork:
    """The source of a task tells what happens: ``ok``, ``fails``, ``raises``, ``dies`` or ``dies_once``."""

    unusable: bool = False

    def start(self):
        if self.unusable:
            raise ModelLoadError('no such model')
        return do


def do(task):
    target = Path(task.target)
    with target.open('a') as file:
        file.write(f'{task.name}\n')
    starts = len(target.read_text().splitlines())
    if task.source == 'dies' or (task.source == 'dies_once' and starts == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if task.source == 'fails':
        raise BadFile('the bag is damaged')
    if task.source == 'raises':
        raise ZeroDivisionError('damaged data')
    return {'starts': starts}


def tasks_of(folder, *sources):
    return [Task(f'{i:02d}', source, str(folder / f'{i:02d}')) for i, source in enumerate(sources)]


class FakeWorkers:
    """Does the tasks in this process; which worker ends first is given; tasks of ``dies`` are deaths."""

    capacity = 1

    def __init__(self, work, first=lambda busy: 0):
        self._job, self._first = work.start(), first
        self.started, self.stopped = 0, False
        self.busy = deque()

    def start(self):
        self.started += 1
        return self.started

    def give(self, worker, task):
        self.busy.append((worker, task))

    def wait(self):
        index = self._first(self.busy)
        worker, task = self.busy[index]
        del self.busy[index]
        dies = task.source.startswith('dies')
        return worker, Answer(death='the worker died') if dies else answer_of(self._job, task)

    def stop(self):
        self.stopped = True
