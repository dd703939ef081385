"""``depth-ros bench multiview``: accuracy and run time of depth from one moving camera. Needs no ROS."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from depth_ros.cli.bench_stereo import write_text

if TYPE_CHECKING:
    from depth_ros.evaluation.datasets.posed_sequence import PosedSequence
    from depth_ros.evaluation.multiview_benchmark import MultiviewFigures, Target

_EPILOG = """PATH is a folder with images, poses and depth:
  images/, depth/, poses.txt (name and 4x4 pose of the camera, row by row), K.txt
  ScanNet: color/, depth/, pose/ and intrinsic/;  TUM RGB-D: rgb.txt, depth.txt and groundtruth.txt
Sequences of the included simulator are measured too: motion forward, sideways and on an arc, with exact poses, with the
noise of odometry (1 % scale, 1 cm, 0.2 degrees), and with an object that crosses the view.

examples:
  depth-ros bench multiview
  depth-ros bench multiview hololens/000 --seeds --json figures.json

The table is Markdown. The last column lists the figures that miss the target."""
_COLUMNS = {
    'coverage': ('coverage %', 100.0, '.1f'),
    'abs_rel': ('AbsRel', 1.0, '.3f'),
    'median_error': ('median error %', 100.0, '.1f'),
    'delta1': ('delta1', 1.0, '.3f'),
    'off': ('off > 10 %, %', 100.0, '.1f'),
    'scale': ('scale', 1.0, '.3f'),
    'moving_off': ('moving object off, %', 100.0, '.1f'),
    'ms': ('ms', 1.0, '.0f'),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument('paths', metavar='PATH', nargs='*', type=Path, help='sequences with poses and true depth')
    parser.add_argument(
        '--seeds',
        metavar='N',
        nargs='*',
        type=int,
        default=[21, 22, 23],
        help='worlds of the simulator (21 22 23); without a number, it is not measured',
    )
    parser.add_argument('--frames', metavar='N', type=int, default=10, help='frames of each simulated sequence (10)')
    parser.add_argument('--json', metavar='FILE', help='write the figures as JSON; - for standard output')


def run(options: argparse.Namespace) -> int:
    """Measure all sequences and print the table; return 1 if a target is missed."""
    from tqdm import tqdm

    from depth_ros.evaluation.multiview_benchmark import mean_figures, measure_sequence
    from depth_ros.evaluation.report import without_nan
    from depth_ros.memory import keep_freed_memory
    from depth_ros.multiview.plane_sweep import PlaneSweep

    keep_freed_memory()
    groups = list(_groups(options))
    rows = []
    with tqdm(total=sum(len(sequences) for _, sequences, _ in groups), unit='sequence', delay=0.2) as bar:
        for name, sequences, target in groups:
            figures = []
            for sequence in sequences:
                figures += measure_sequence(sequence, PlaneSweep())
                bar.update()
            rows.append((name, len(figures), mean_figures(figures), target))
    missed = {name: target.missed(figures) for name, _, figures, target in rows if target}
    if options.json:
        report = [
            without_nan({'sequence': name, 'frames': count, **asdict(figures), 'missed': missed.get(name)})
            for name, count, figures, _ in rows
        ]
        write_text(options.json, json.dumps(report, indent=1) + '\n')
    if options.json != '-':
        _print(rows, missed)
    return 1 if any(missed.values()) else 0


def _groups(options: argparse.Namespace) -> Iterator[tuple[str, list['PosedSequence'], 'Target | None']]:
    """Yield the rows of the table: name, sequences, and target."""
    from depth_ros.evaluation.datasets.posed_sequence import find_sequence
    from depth_ros.evaluation.datasets.simulated_motion import Motion, OdometryNoise, simulated_sequence
    from depth_ros.evaluation.multiview_benchmark import NOISY_TARGET, RECORDED_TARGET, SIMULATOR_TARGET

    recorded = [find_sequence(path) for path in options.paths]
    seeds, frames = options.seeds, options.frames
    motions: tuple[Motion, ...] = ('forward', 'sideways', 'arc') if seeds else ()
    for motion in motions:
        yield f'simulator, {motion}', [simulated_sequence(seed, motion, frames) for seed in seeds], SIMULATOR_TARGET
    noise = OdometryNoise()
    for motion in motions:
        noisy = [simulated_sequence(seed, motion, frames, noise) for seed in seeds]
        yield f'simulator, {motion}, noise of odometry', noisy, NOISY_TARGET
    crossed = [simulated_sequence(seed, 'forward', frames, moving_object=True) for seed in seeds]
    if crossed:
        yield 'simulator, forward, moving object', crossed, None
    for sequence in recorded:
        yield sequence.name, [sequence], RECORDED_TARGET


def _print(rows: list[tuple[str, int, 'MultiviewFigures', 'Target | None']], missed: dict[str, list[str]]) -> None:
    headings = ['sequence', 'frames', *(heading for heading, _, _ in _COLUMNS.values()), 'target']
    print('| ' + ' | '.join(headings) + ' |')
    print('|---|' + '---:|' * (len(headings) - 2) + '---|')
    for name, count, figures, target in rows:
        values = [format(getattr(figures, key) * factor, how) for key, (_, factor, how) in _COLUMNS.items()]
        values = ['' if value == 'nan' else value for value in values]
        result = '' if target is None else f'missed: {", ".join(missed[name])}' if missed[name] else 'reached'
        print('| ' + ' | '.join([name, str(count), *values, result]) + ' |')
