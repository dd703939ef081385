"""Options of commands that process many recordings, and their execution with one line per recording."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from depth_ros.cli.argument_types import cluster_address
from depth_ros.errors import BadFile
from depth_ros.files.result_folders import make_folder
from depth_ros.fleet.finished_work import description_of_settings, differences, recorded
from depth_ros.fleet.ray_workers import RayWorkers
from depth_ros.fleet.shards import parse_shard, shard
from depth_ros.fleet.storage import is_remote, list_files, local_path
from depth_ros.fleet.workers import Task, TaskOutcome, Work, Workers, run_tasks
from depth_ros.settings.node_settings import NodeSettings

_NO_OPTIONS: Mapping[str, Any] = {}


class RecordedWork(Work, Protocol):
    """Work whose results have records."""

    @property
    def settings(self) -> NodeSettings:
        """Settings of the node."""
        ...

    @property
    def options(self) -> dict[str, Any]:
        """Other options that affect the results."""
        ...


def add_fleet_options(parser: argparse.ArgumentParser, unit: str) -> None:
    """Declare ``--jobs``, ``--on`` and the resources of its workers, ``--shard``, ``--force`` and ``--json``."""
    parser.add_argument(
        '--jobs', type=int, metavar='N', help=f'number of {unit} processed in parallel (1; with --on, all that fit)'
    )
    parser.add_argument(
        '--on',
        type=cluster_address,
        metavar='ray|ray://HOST:PORT',
        help='use the workers of a Ray cluster: that of RAY_ADDRESS, one that is started on this machine, or that at '
        'an address',
    )
    parser.add_argument(
        '--cpus-per-worker', type=float, default=1.0, metavar='X', help='processors of a worker on Ray (1)'
    )
    parser.add_argument('--gpus-per-worker', type=float, default=0.0, metavar='X', help='GPUs of a worker on Ray (0)')
    parser.add_argument(
        '--shard',
        metavar='I/N',
        help=f'process only every N-th of the {unit}, from number I (0 to N - 1); with N alone, I is '
        'JOB_COMPLETION_INDEX (Kubernetes), SLURM_ARRAY_TASK_ID or AWS_BATCH_JOB_ARRAY_INDEX',
    )
    parser.add_argument('--force', action='store_true', help='also process what is finished')
    parser.add_argument(
        '--json', action='store_true', help=f'print the figures as JSON, one line for each of the {unit}'
    )


def target_below(folder: str, name: str) -> str:
    """Return the location of a result in a folder of results, which is created if it is local.

    Raises:
        BadFile: the folder cannot be created.
    """
    if is_remote(folder):
        return f'{folder.rstrip("/")}/{name}'
    make_folder(local_path(folder))
    return str(local_path(folder) / name)


def threads_per_worker(options: argparse.Namespace) -> int:
    """Return the number of OpenCV's threads in a worker, for ``--jobs`` and ``--on``; 0 = no limit.

    Raises:
        BadFile: ``--jobs`` is not positive.
    """
    if options.jobs is not None and options.jobs < 1:
        raise BadFile(f'--jobs is {options.jobs}; expected at least 1')
    if options.on:
        return max(int(options.cpus_per_worker), 1)
    jobs = options.jobs or 1
    return max((os.cpu_count() or 1) // jobs, 1) if jobs > 1 else 0


def planned_tasks(
    options: argparse.Namespace,
    tasks: Sequence[Task],
    work: RecordedWork,
    more_options: Mapping[str, Any] = _NO_OPTIONS,
) -> list[Task]:
    """Return the tasks of the shard, with what their results will be made from; ``more_options`` affect them, too."""
    if options.shard:
        tasks = shard(tasks, *parse_shard(options.shard))
    description = description_of_settings(work.settings, {**work.options, **more_options})
    return [replace(each, made_from={'inputs': list_files(each.source), **description}) for each in tasks]


def finished_figures(task: Task, force: bool) -> dict[str, Any] | None:
    """Return the figures of a result that is finished and made from the same as it would be now; None otherwise."""
    record = None if force else recorded(task.target)
    if record is None:
        return None
    if changed := differences(record['made_from'], task.made_from):
        more = ' …' if len(changed) > 3 else ''
        names = ', '.join(changed[:3])
        print(f'note: {task.target} is made again, because these differ: {names}{more}', file=sys.stderr)
        return None
    return dict(record['figures'])


def outcomes(
    options: argparse.Namespace, tasks: Sequence[Task], work: RecordedWork, local_workers: Callable[[Work], Workers]
) -> Iterator[tuple[TaskOutcome, bool]]:
    """Yield the outcome of every task, and whether it was finished before; show the progress on standard error.

    Raises:
        DepthRosError: the workers cannot do any task.
    """
    from tqdm import tqdm

    finished = {task: finished_figures(task, options.force) for task in tasks}
    for task, figures in finished.items():
        if figures is not None:
            yield TaskOutcome(task, figures, attempts=0), True
    rest = [task for task, figures in finished.items() if figures is None]
    if not rest:
        return
    workers: Workers
    if options.on:
        workers = RayWorkers(work, options.on, options.cpus_per_worker, options.gpus_per_worker)
    else:
        workers = local_workers(work)
    with tqdm(total=len(rest), unit='recording', delay=0.2) as bar:
        for outcome in run_tasks(workers, options.jobs or workers.capacity, rest):
            bar.update()
            with bar.external_write_mode(file=sys.stdout):
                yield outcome, False


def json_line(outcome: TaskOutcome, was_finished: bool) -> str:
    """Return the line of ``--json`` for a recording."""
    task = outcome.task
    state = 'failed' if outcome.figures is None else 'finished before' if was_finished else 'done'
    about = {'source': task.source, 'target': task.target, 'state': state, 'attempts': outcome.attempts}
    return json.dumps({**about, **({'error': outcome.error} if outcome.error else {}), **(outcome.figures or {})})
