"""``depth-ros demo --mono``: run the included network on a simulated camera and compare the depth with exact depth."""

import argparse
from pathlib import Path
from typing import Any

from depth_ros.cli.demo_graph import Graph, run_graph
from depth_ros.cli.demo_results import LiveLine, graph_figures, print_results, viewer_command, write_results
from depth_ros.evaluation.depth_metrics import DepthAccuracy, depth_accuracy, mean_accuracy
from depth_ros.files.result_folders import make_folder

BOUNDS = DepthAccuracy(valid_share=0.9, abs_rel=0.15, delta1=0.85)
_SEED = 1
"""Seed of a world that was not used for training the network."""

_NETWORK = ('-p', 'model:=sim-indoor', '-p', 'allow_simulator_model:=true')


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 0 if depth and points were received and the error is within bounds."""
    make_folder(options.out)
    print('camera (simulator, 10 Hz) → mono_depth (sim-indoor) → listener: three processes on a graph. Starting …')
    line = LiveLine(_accuracy_text)
    graph = run_graph(
        ['depth_ros.tools.sim_camera', '--ros-args', '-p', f'seed:={_SEED}', '-p', 'baseline_m:=0.0'],
        ['depth_ros.ros.mono_depth', '--ros-args', *_NETWORK, '--log-level', 'error'],
        options.seconds,
        line.show,
        shared_memory=not options.no_shared_memory,
        extra=viewer_command(options),
    )
    line.end()
    accuracy = _accuracy(graph)
    report = {
        **graph_figures(graph),
        'valid_fraction': round(accuracy.valid_share, 4),
        'abs_rel': round(accuracy.abs_rel, 4) if accuracy.valid_share else None,
        'delta1': round(accuracy.delta1, 4) if accuracy.valid_share else None,
    }
    failures = _failures(graph, accuracy)
    report_path: Path = options.report or options.out / 'report.json'
    print_results(
        report,
        (
            ('pixels with depth', f'{accuracy.valid_share:.1%}', f'at least {BOUNDS.valid_share:.0%}'),
            ('mean relative error (AbsRel)', f'{accuracy.abs_rel:.3f}', f'at most {BOUNDS.abs_rel:g}'),
            ('within 25 % (delta1)', f'{accuracy.delta1:.1%}', f'at least {BOUNDS.delta1:.0%}'),
        ),
    )
    return write_results(graph, options.out, report_path, report, failures)


def _accuracy(graph: Graph) -> DepthAccuracy:
    """Compare every received depth image with the exact depth of the same stamp; return the means."""
    return mean_accuracy([depth_accuracy(depth, truth) for depth, truth in graph.listener.depth_with_truth()])


def _accuracy_text(graph: Graph) -> str:
    pairs = graph.listener.depth_with_truth()
    if not pairs:
        return ''
    accuracy = depth_accuracy(*pairs[-1])
    return f'AbsRel {accuracy.abs_rel:.3f}   within 25 % {accuracy.delta1:6.1%}'


def _failures(graph: Graph, accuracy: DepthAccuracy) -> list[str]:
    listener: Any = graph.listener
    if not listener.depth_received:
        return ['no depth image received; see the messages above']
    failures = [] if listener.points_received else ['no point cloud received']
    if accuracy.valid_share < BOUNDS.valid_share:
        failures.append(
            f'{accuracy.valid_share:.1%} of the pixels have depth; expected at least {BOUNDS.valid_share:.0%}'
        )
    if not accuracy.abs_rel <= BOUNDS.abs_rel:  # NaN fails too
        failures.append(f'AbsRel is {accuracy.abs_rel:.3f}; expected at most {BOUNDS.abs_rel:g}')
    if not accuracy.delta1 >= BOUNDS.delta1:
        failures.append(f'delta1 is {accuracy.delta1:.3f}; expected at least {BOUNDS.delta1:g}')
    return failures
