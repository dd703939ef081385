"""``depth-ros eval``: measure the accuracy of depth on images with ground truth. Needs no ROS."""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from depth_ros.cli.fleet_options import (
    add_fleet_options,
    json_line,
    outcomes,
    planned_tasks,
    target_below,
    threads_per_worker,
)  # fmt: skip
from depth_ros.cli.node_options import add_node_options, node_settings, ros_parameters
from depth_ros.fleet.storage import expanded, is_remote, local_path, read_file, stored_folder

if TYPE_CHECKING:
    from depth_ros.fleet.dataset_work import DatasetWork

_EPILOG = """Supported layouts of DATASET:
  folder with image/ and depth/ (16-bit PNG, PFM, TIFF, NPY) of the same names; for pairs also right/, left.yaml,
    right.yaml
  Middlebury or ETH3D scenes; KITTI depth or stereo 2015; nyu_depth_v2_labeled.mat; TUM RGB-D
  recording (bag) with a topic of ground truth depth; sim:SEED, a world of the included simulator

examples:
  depth-ros eval --model sim-indoor sim:1 --out report
  depth-ros eval --model raft-stereo.onnx Middlebury/trainingH
  depth-ros eval --model midas.onnx --align affine --crop nyu --cap 10 nyu_depth_v2_labeled.mat
  depth-ros eval compare report_a report_b

Filters and range limits are off unless they are given (-p, --params), as the benchmarks expect. The report lists every
setting that affects the depth values."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        'datasets',
        nargs='+',
        metavar='DATASET',
        help='path of the dataset, or sim:SEED; several are evaluated to folders below --out, and skipped if finished',
    )
    add_node_options(parser)
    parser.add_argument(
        '--align',
        choices=('none', 'median', 'affine'),
        default='none',
        help='alignment of every image with the ground truth before comparison: none, scale (median), or scale and '
        'shift (affine); default: none',
    )
    parser.add_argument(
        '--crop', choices=('none', 'eigen', 'garg', 'nyu'), help='region that is evaluated (that of the benchmark)'
    )
    parser.add_argument(
        '--cap', type=float, default=0.0, metavar='METRES', help='ignore ground truth beyond this distance (no cap)'
    )
    parser.add_argument(
        '--depth-scale', type=float, default=1000.0, metavar='X', help='units per metre in 16-bit depth files (1000)'
    )
    parser.add_argument(
        '--truth-topic', default='truth/depth', metavar='TOPIC', help='topic of ground truth in a bag (truth/depth)'
    )
    parser.add_argument('--limit', type=int, default=0, metavar='N', help='evaluate only the first N frames')
    parser.add_argument('--out', default='eval_output', metavar='DIR', help='folder for the report (eval_output)')
    add_fleet_options(parser, 'datasets')


def run(options: argparse.Namespace) -> int:
    """Evaluate the datasets and write the reports; return 1 if one failed, or if every frame failed."""
    from depth_ros.evaluation.comparable_settings import comparable_settings
    from depth_ros.fleet.dataset_work import DatasetWork
    from depth_ros.fleet.recording_work import prepare_process
    from depth_ros.messages.topic_names import TopicNames
    from depth_ros.settings.node_settings import MultiviewSettings

    settings = node_settings(options)
    assert not isinstance(settings, MultiviewSettings)  # not a choice of --node
    settings = comparable_settings(settings, ros_parameters(options))
    work = DatasetWork(
        settings,
        TopicNames(options.namespace, tuple(options.remaps)),
        options.truth_topic,
        options.depth_scale,
        options.align,
        None if options.crop is None else options.crop.replace('none', ''),
        options.cap,
        options.limit,
        threads_per_worker(options),
    )
    sources = expanded(options.datasets)
    if len(sources) > 1 or sources != options.datasets or is_remote(options.out) or options.on:
        return _evaluate_several(options, work, sources)
    prepare_process(0)
    with tqdm(unit='frame', delay=0.2, disable=options.json) as bar:

        def update(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        report = work.write(
            options.datasets[0], local_path(options.out), None, update, lambda text: print(f'note: {text}')
        )
    _print(report, options)
    return 0 if report['frames'] else 1


def _evaluate_several(options: argparse.Namespace, work: 'DatasetWork', sources: list[str]) -> int:
    """Evaluate datasets that are not finished yet; merge all reports unless this is only a shard."""
    from depth_ros.evaluation.html_report import BestAndWorstFrames, html_page
    from depth_ros.evaluation.merged_report import merged_report
    from depth_ros.evaluation.report import write_report
    from depth_ros.fleet.local_workers import LocalWorkers
    from depth_ros.fleet.recording_work import unique_names
    from depth_ros.fleet.workers import Task

    names = unique_names(sources)
    tasks = [Task(name, source, target_below(options.out, name)) for name, source in zip(names, sources, strict=True)]
    tasks = planned_tasks(options, tasks, work)
    ended = {}
    for outcome, was_finished in outcomes(options, tasks, work, LocalWorkers):
        ended[outcome.task] = outcome
        if options.json:
            print(json_line(outcome, was_finished), flush=True)
        elif outcome.figures is None:
            print(f'{outcome.task.target}: {outcome.error}', flush=True)
        elif not was_finished:
            frames, failed = outcome.figures['frames'], outcome.figures['failed']
            print(f'{outcome.task.target}: {frames} frames evaluated, {failed} failed', flush=True)
    failures = {each.task.name: each.error for each in ended.values() if each.figures is None}
    unusable = any(each.figures is None or not each.figures['frames'] for each in ended.values())
    if options.shard:
        if not options.json:
            print(f'{len(tasks)} datasets in this shard. The same command without --shard merges all reports')
        return int(unusable)
    done = sorted(task for task in ended if task.name not in failures)
    report = merged_report(((task.name, _read_report(task.target)) for task in done), failures)
    if done:
        with stored_folder(options.out) as folder:
            write_report(folder, report, html_page(report, BestAndWorstFrames()))
        _print(report, options)
    return int(unusable)


def _read_report(location: str) -> dict[str, Any]:
    from depth_ros.evaluation.report import read_report

    if not is_remote(location):
        return read_report(local_path(location))
    with TemporaryDirectory(prefix='depth_ros_') as folder:
        path = Path(folder) / 'report.json'
        path.write_bytes(read_file(location, path.name) or b'')
        return read_report(path)


def _print(report: dict[str, Any], options: argparse.Namespace) -> None:
    from depth_ros.evaluation.comparable_settings import format_parameters

    if options.json:
        print(json.dumps({'target': str(options.out), 'dataset': report['dataset'], 'figures': report['figures']}))
        return
    print(f'{report["estimator"]} on {report["dataset"]} ({report["layout"]}; {report["protocol"]})')
    print(f'  settings: {format_parameters(report["settings"])}')
    for name, value in report['figures'].items():
        print(f'  {name:<12} {"-" if value is None else format(value, ".4f")}')
    for row in report['by_distance']:
        to_m = row['to_m'] if row['to_m'] is not None else float('inf')
        error = '-' if row['abs_rel'] is None else format(row['abs_rel'], '.4f')
        print(f'  {row["from_m"]:4g} to {to_m:4g} m: AbsRel {error}, {row["valid_share"]:.1%} valid')
    failed = list(report['failed'].items())
    count = f'{len(report["frames"])} {report.get("rows", "frames")}'
    print(f'{count} evaluated, {len(failed)} failed; report.html, report.json, frames.csv in {options.out}')
    for name, reason in failed[:5]:
        print(f'  {name}: {reason}')
