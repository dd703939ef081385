"""``depth-ros demo``: a real pair through a real graph, measured against ground truth."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.cli.graph import Graph, run_graph
from depth_ros.errors import BadFile
from depth_ros.evaluation.stereo import StereoAccuracy
from depth_ros.files.motorcycle import Motorcycle, load_motorcycle
from depth_ros.files.pictures import write_picture
from depth_ros.files.ply import write_ply
from depth_ros.stages.colorize import colorize
from depth_ros.types import Cloud

BOUNDS = {'balanced': StereoAccuracy(0.90, 0.05, 0.004), 'strict': StereoAccuracy(0.72, 0.033, 0.004)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--seconds', type=float, default=10.0, help='how long to run after the first depth image (10)')
    parser.add_argument('--report', type=Path, help='where to write the report (OUT/report.json)')
    parser.add_argument('--out', type=Path, default=Path('demo_output'), help='folder for the results (demo_output)')
    parser.add_argument('--quality', choices=tuple(BOUNDS), default='balanced', help='matcher quality (balanced)')
    parser.add_argument(
        '--no-shared-memory',
        action='store_true',
        help="leave Fast DDS at its defaults instead of the package's profile",
    )


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 if depth and points arrived and the error is within bounds."""
    _make_folder(options.out)
    truth = load_motorcycle()
    print('camera (Motorcycle pair, 10 Hz) → stereo_depth → listener: three processes, real DDS. Starting …')
    line = _LiveLine(truth)
    graph = run_graph(
        ['depth_ros.ros.file_camera'],
        ['depth_ros.ros.stereo_depth', '--ros-args', '-p', f'quality:={options.quality}', '--log-level', 'warn'],
        options.seconds,
        line.show,
        shared_memory=not options.no_shared_memory,
    )
    line.end()
    depth_m = graph.listener.depth_m()
    accuracy = StereoAccuracy(0.0, 1.0, float('inf')) if depth_m is None else truth.accuracy(depth_m)
    report = _report(graph, accuracy)
    failures = _failures(report, BOUNDS[options.quality])
    report_path = options.report or options.out / 'report.json'
    _write(graph, options.out, report_path, {**report, 'passed': not failures})
    _print_table(report, BOUNDS[options.quality])
    print(f'wrote {options.out}/depth_turbo.png, {options.out}/points.ply and {report_path}')
    for failure in failures:
        print(f'FAILED: {failure}', file=sys.stderr)
    return 1 if failures else 0


class _LiveLine:
    """One line that changes while the demo runs; lines a second apart where the output is not a terminal."""

    def __init__(self, truth: Motorcycle) -> None:
        self._truth = truth
        self._in_place = sys.stdout.isatty()
        self._next_s = 0.0

    def show(self, graph: Graph) -> None:
        if not self._in_place and time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + 1.0
        listener = graph.listener
        depth_m = listener.depth_m()
        if depth_m is None:
            text = f'waiting for the first depth image … {listener.verdict}'
        else:
            accuracy = self._truth.accuracy(depth_m)
            text = (
                f'{graph.seconds:5.1f} s   {listener.depth_received / max(graph.seconds, 0.1):4.1f} Hz   '
                f'age {listener.age_ms[-1]:4.0f} ms   dropped {sum(listener.dropped().values()):3d}   '
                f'valid {accuracy.valid_fraction:6.1%}   error {accuracy.median_abs_rel:.2%}'
            )
        print(f'\r{text:<100}' if self._in_place else text, end='' if self._in_place else '\n', flush=True)

    def end(self) -> None:
        if self._in_place:
            print()


def _report(graph: Graph, accuracy: StereoAccuracy) -> dict[str, Any]:
    listener = graph.listener
    first_s = graph.start_to_first_depth_s
    return {
        'frames_sent': graph.frames_sent,
        'depth_received': listener.depth_received,
        'points_received': listener.points_received,
        'dropped': listener.dropped(),
        'age_ms': listener.age_percentiles(),
        'start_to_first_depth_s': None if first_s is None else round(first_s, 2),
        'valid_fraction': round(accuracy.valid_fraction, 4),
        'bad2_fraction': round(accuracy.bad2_fraction, 4),
        'median_abs_rel': round(accuracy.median_abs_rel, 5) if np.isfinite(accuracy.median_abs_rel) else None,
    }


def _failures(report: dict[str, Any], bounds: StereoAccuracy) -> list[str]:
    failures = []
    if not report['depth_received']:
        failures.append('no depth image arrived; see the messages above')
        return failures
    if not report['points_received']:
        failures.append('no point cloud arrived')
    if report['valid_fraction'] < bounds.valid_fraction:
        failures.append(f'{report["valid_fraction"]:.1%} valid, expected at least {bounds.valid_fraction:.0%}')
    for name in ('bad2_fraction', 'median_abs_rel'):
        if report[name] > getattr(bounds, name):
            failures.append(f'{name} is {report[name]:.4f}, expected at most {getattr(bounds, name):.4f}')
    return failures


def _print_table(report: dict[str, Any], bounds: StereoAccuracy) -> None:
    age = ' / '.join(f'{value:.0f}' if value is not None else '-' for value in report['age_ms'].values())
    dropped = ', '.join(f'{count} {reason}' for reason, count in report['dropped'].items()) or 'none'
    rel = report['median_abs_rel']
    rows = (
        ('frames sent by the camera', report['frames_sent'], ''),
        ('depth images received', report['depth_received'], ''),
        ('point clouds received', report['points_received'], ''),
        ('dropped by the node', dropped, 'a newer frame replaced them'if 'superseded' in dropped else ''),
        ('age at reception p50/p95/p99', f'{age} ms', ''),
        ('start to first depth', f'{report["start_to_first_depth_s"]} s', 'imports included'),
        ('ground truth covered', f'{report["valid_fraction"]:.1%}', f'at least {bounds.valid_fraction:.0%}'),
        ('of that, off by more than 2 px', f'{report["bad2_fraction"]:.1%}', f'at most {bounds.bad2_fraction:.1%}'),
        ('median depth error', '-' if rel is None else f'{rel:.2%}', f'at most {bounds.median_abs_rel:.1%}'),
    )  # fmt: skip
    print()
    for name, value, remark in rows:
        print(f'  {name:<32}{value!s:<24}{remark}')
    print()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFile(f'{path} cannot be made a folder: {error.strerror}') from error


def _write(graph: Graph, out: Path, report_path: Path, report: dict[str, Any]) -> None:
    depth_m, points = graph.listener.depth_m(), graph.listener.points
    if depth_m is not None:
        write_picture(out / 'depth_turbo.png', colorize(depth_m))
    if points is not None:
        columns = len(points.fields)
        write_ply(out / 'points.ply', Cloud(np.frombuffer(points.data, np.float32).reshape(-1, columns)))
    try:
        report_path.write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise BadFile(f'{report_path} cannot be written: {error.strerror}') from error
