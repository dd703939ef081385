"""``depth-ros demo``: run a stereo pair through a ROS 2 graph and compare the depth with ground truth."""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.cli import demo_mono
from depth_ros.cli.demo_graph import Graph, run_graph
from depth_ros.cli.demo_results import LiveLine, graph_figures, print_results, viewer_command, write_results
from depth_ros.errors import BadSettings
from depth_ros.evaluation.motorcycle_pair import Motorcycle, load_motorcycle
from depth_ros.evaluation.stereo_metrics import StereoAccuracy
from depth_ros.files.result_folders import make_folder

BOUNDS = {
    'fast': StereoAccuracy(0.90, 0.09, 0.006),
    'balanced': StereoAccuracy(0.90, 0.05, 0.004),
    'strict': StereoAccuracy(0.72, 0.033, 0.004),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--seconds', type=float, help='duration after the first depth image (10; with --view until Ctrl-C)'
    )
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument('--mono', action='store_true', help='use one simulated camera and the included network')
    camera.add_argument(
        '--multiview',
        action='store_true',
        help='use one simulated camera that moves and its odometry, without a network',
    )
    parser.add_argument(
        '--model', metavar='ID|FILE', help='with --mono: use this metric network and a real image instead'
    )
    parser.add_argument('--view', action='store_true', help='show the results in the browser while the demo runs')
    parser.add_argument('--report', type=Path, metavar='FILE', help='file for the report (OUT/report.json)')
    parser.add_argument(
        '--out', type=Path, default=Path('demo_output'), metavar='DIR', help='folder for the results (demo_output)'
    )
    parser.add_argument('--quality', choices=tuple(BOUNDS), default='balanced', help='matcher quality (balanced)')
    parser.add_argument('--no-shared-memory', action='store_true', help='use the default transports of Fast DDS')


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 0 if depth and points were received and the error is within bounds."""
    options.seconds = options.seconds or (math.inf if options.view else 10.0)
    if options.mono or (options.multiview and not options.model):
        return demo_mono.run(options)
    if options.model:
        raise BadSettings('--model is given without --mono; add --mono: the stereo demo uses no network')
    make_folder(options.out)
    truth, bounds = load_motorcycle(), BOUNDS[options.quality]
    print('camera (Motorcycle pair, 10 Hz) → stereo_depth → listener: three processes on a ROS graph. Starting …')
    line = LiveLine(lambda graph: _accuracy_text(graph, truth))
    graph = run_graph(
        ['depth_ros.tools.file_camera'],
        ['depth_ros.ros.stereo_depth', '--ros-args', '-p', f'quality:={options.quality}', '--log-level', 'warn'],
        options.seconds,
        line.show,
        shared_memory=not options.no_shared_memory,
        extra=viewer_command(options),
    )
    line.end()
    depth_m = graph.listener.depth_m()
    accuracy = StereoAccuracy(0.0, 1.0, float('inf')) if depth_m is None else truth.accuracy(depth_m)
    report = {
        **graph_figures(graph),
        'valid_fraction': round(accuracy.valid_fraction, 4),
        'bad2_fraction': round(accuracy.bad2_fraction, 4),
        'median_abs_rel': round(accuracy.median_abs_rel, 5) if np.isfinite(accuracy.median_abs_rel) else None,
    }
    print_results(
        report,
        (
            ('ground truth covered', f'{accuracy.valid_fraction:.1%}', f'at least {bounds.valid_fraction:.0%}'),
            ('of these, error above 2 px', f'{accuracy.bad2_fraction:.1%}', f'at most {bounds.bad2_fraction:.1%}'),
            ('median depth error', f'{accuracy.median_abs_rel:.2%}', f'at most {bounds.median_abs_rel:.1%}'),
        ),
    )
    report_path = options.report or options.out / 'report.json'
    return write_results(graph, options.out, report_path, report, _failures(report, bounds))


def _accuracy_text(graph: Graph, truth: Motorcycle) -> str:
    depth_m = graph.listener.depth_m()
    if depth_m is None:
        return ''
    accuracy = truth.accuracy(depth_m)
    return f'valid {accuracy.valid_fraction:6.1%}   error {accuracy.median_abs_rel:.2%}'


def _failures(report: dict[str, Any], bounds: StereoAccuracy) -> list[str]:
    if not report['depth_received']:
        return ['no depth image received; see the messages above']
    failures = [] if report['points_received'] else ['no point cloud received']
    if report['valid_fraction'] < bounds.valid_fraction:
        failures.append(f'{report["valid_fraction"]:.1%} valid; expected at least {bounds.valid_fraction:.0%}')
    for name in ('bad2_fraction', 'median_abs_rel'):
        if report[name] is None or report[name] > getattr(bounds, name):
            failures.append(f'{name} is {report[name]}; expected at most {getattr(bounds, name)}')
    return failures
