"""``depth-ros bag process``: compute depth from recordings. Needs no ROS."""

import argparse
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from depth_ros.cli.argument_types import duration_s
from depth_ros.cli.fleet_options import (
    add_fleet_options,
    finished_figures,
    json_line,
    outcomes,
    planned_tasks,
    target_below,
    threads_per_worker,
)  # fmt: skip
from depth_ros.cli.node_options import add_node_options, node_settings
from depth_ros.errors import BadFile
from depth_ros.fleet.local_workers import LocalWorkers
from depth_ros.fleet.recording_work import RecordingWork, is_without_depth, prepare_process, unique_names
from depth_ros.fleet.storage import expanded
from depth_ros.fleet.workers import Task, TaskOutcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'sources',
        nargs='+',
        metavar='IN',
        help='folder of a rosbag2 recording (sqlite3, mcap, compressed), or its address: s3://…, gs://…, file://…',
    )
    parser.add_argument(
        'target',
        metavar='OUT',
        help='folder of the new bag, which must not exist; with several IN, the folder that will contain the new bags',
    )
    add_node_options(parser, multiview=True)
    parser.add_argument(
        '--cameras',
        default='',
        metavar='A,B',
        help='names of several cameras that share one network; each is a namespace below --namespace',
    )
    parser.add_argument('--keep-inputs', action='store_true', help='also copy the input messages of the cameras')
    parser.add_argument('--mcap', action='store_true', help='write mcap instead of sqlite3')
    parser.add_argument(
        '--split',
        type=duration_s,
        default=0.0,
        metavar='300s',
        help='cut bags into parts of this duration, process them in parallel, and join the results',
    )
    parser.add_argument(
        '--overlap',
        type=duration_s,
        metavar='S',
        help='how long before its start the processing of a part begins (10s; 30s with temporal filter or scale, 120s '
        'with align_rows)',
    )
    add_fleet_options(parser, 'bags')


def run(options: argparse.Namespace) -> int:
    """Process the bags; return 1 if one failed or has frames of which none produced depth."""
    settings = node_settings(options)
    cameras = [name.strip(' /') for name in options.cameras.split(',') if name.strip(' /')]
    namespaces = tuple(f'{options.namespace}/{name}' for name in cameras) or (options.namespace,)
    remaps, threads = tuple(options.remaps), threads_per_worker(options)
    work = RecordingWork(settings, namespaces, options.keep_inputs, options.mcap, remaps, threads)
    sources = expanded(options.sources)
    names = unique_names(sources)
    is_one = sources == options.sources and len(sources) == 1  # an address with wildcards may match a single one
    targets = [options.target] if is_one else [target_below(options.target, name) for name in names]
    tasks = [Task(*each) for each in zip(names, sources, targets, strict=True)]
    if is_one and not options.split and not options.on:
        return _process_one(options, work, tasks[0])
    failed, before = False, 0
    for outcome, was_finished in _outcomes(options, work, tasks):
        failed |= outcome.figures is None or is_without_depth(outcome.figures)
        before += was_finished
        if options.json:
            print(json_line(outcome, was_finished), flush=True)
        elif not was_finished:
            print(_summary(outcome), flush=True)
    if before and not options.json:
        print(f'{before} bags were finished before')
    return int(failed)


def _outcomes(
    options: argparse.Namespace, work: RecordingWork, tasks: Sequence[Task]
) -> Iterator[tuple[TaskOutcome, bool]]:
    """Yield the outcomes of the recordings; with ``--split``, the workers process segments, which are joined here."""
    if not options.split:
        yield from outcomes(options, planned_tasks(options, tasks, work), work, LocalWorkers)
        return
    from depth_ros.bags.bag_segments import overlap_s
    from depth_ros.fleet.cut_recording import CutRecording

    overlap = overlap_s(work.settings) if options.overlap is None else options.overlap
    split = {'split_s': options.split, 'overlap_s': overlap}
    segments: list[Task] = []
    cut: dict[str, CutRecording] = {}
    for task in planned_tasks(options, tasks, work, split):
        if (figures := finished_figures(task, options.force)) is not None:
            yield TaskOutcome(task, figures, attempts=0), True
            continue
        try:
            recording = CutRecording(task, options.split, overlap)
        except BadFile as error:
            yield TaskOutcome(task, None, str(error)), False
            continue
        segments += recording.tasks
        cut |= {each.name: recording for each in recording.tasks}
    for outcome, _ in outcomes(options, segments, work, LocalWorkers):
        recording = cut[outcome.task.name]
        if recording.add(outcome):
            yield recording.join(work.mcap), False


def _process_one(options: argparse.Namespace, work: RecordingWork, task: Task) -> int:
    """Process a single bag in this process, with a progress bar for its frames."""
    tasks = planned_tasks(options, [task], work)
    if not tasks:  # it belongs to another shard
        return 0
    (task,) = tasks
    finished = finished_figures(task, options.force)
    if finished is not None:
        outcome = TaskOutcome(task, finished, attempts=0)
    else:
        prepare_process(0)
        with tqdm(unit='frame', delay=0.2, disable=options.json) as bar:

            def update(done: int, count: int) -> None:
                bar.total = count
                bar.update(done - bar.n)

            outcome = TaskOutcome(task, work.process(None, task, update))
    was_finished = finished is not None
    print(json_line(outcome, was_finished) if options.json else _summary(outcome))
    if was_finished and not options.json:
        print(f'{task.target} was finished before; --force makes it again')
    assert outcome.figures is not None
    return int(is_without_depth(outcome.figures))


def _summary(outcome: TaskOutcome) -> str:
    target, figures = outcome.task.target, outcome.figures
    if figures is None:
        return f'{target}: {outcome.error}'
    dropped = ', '.join(f'{count} {reason}' for reason, count in sorted(figures['dropped'].items())) or 'none'
    text = (
        f'{target}: {figures["written"]} of {figures["frames"]} frames in {figures["seconds"]:.1f} s '
        f'({figures["written"] / figures["seconds"]:.1f} per second), dropped: {dropped}'
    )
    text = f'{text}. The recording is truncated: {figures["cut_off"]}' if figures['cut_off'] else text
    return '\n'.join([*(f'note: {remark}' for remark in figures['remarks']), text])
