"""``depth-ros demo --mono`` and ``--multiview``: depth of one camera in a ROS 2 graph, compared with the true depth.

The included network and plane sweep run on the camera of a simulated robot, any other metric network on the left image
of the Motorcycle pair.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depth_ros.cli.demo_graph import Graph, run_graph
from depth_ros.cli.demo_results import LiveLine, graph_figures, print_results, viewer_command, write_results
from depth_ros.errors import BadSettings
from depth_ros.evaluation.depth_metrics import DepthAccuracy, depth_accuracy, mean_accuracy
from depth_ros.evaluation.motorcycle_pair import load_motorcycle
from depth_ros.files.result_folders import make_folder
from depth_ros.networks.catalog import check_available, find_manifest
from depth_ros.types import Float32Array

BOUNDS = DepthAccuracy(valid_share=0.9, abs_rel=0.15, delta1=0.85)
MULTIVIEW_BOUNDS = DepthAccuracy(valid_share=0.65, abs_rel=0.06, delta1=0.95)
_SEED = 1
"""Seed of a world that was not used for training the network."""
EXTRINSICS = '0 0 0.5 -1.5707963 0 -1.5707963'
"""Mounting of the simulated camera: 0.5 m above the floor, looking forward."""
# The simulator publishes odometry with the images, which may be rare on a loaded machine.
_MULTIVIEW_PARAMETERS = ['-p', f'extrinsics:={EXTRINSICS}', '-p', 'max_pose_age_s:=3.0']


@dataclass(frozen=True)
class _Scene:
    """What the node sees, and what is expected of it."""

    camera_name: str
    camera: list[str]
    """Module and arguments of the camera process."""
    node: str
    """Name of the node."""
    parameters: list[str]
    method: str
    """Network, or method without a network."""
    truth_m: Float32Array | None
    """True depth; None = the camera publishes it."""
    bounds: DepthAccuracy | None
    """Limits of the accuracy; None = it is printed only."""


def _simulator(node: str, parameters: list[str], method: str, bounds: DepthAccuracy) -> _Scene:
    camera = ['depth_ros.tools.sim_camera', '--ros-args', '-p', f'seed:={_SEED}', '-p', 'baseline_m:=0.0']
    return _Scene('simulator', camera, node, parameters, method, None, bounds)


def _scene(model: str | None) -> _Scene:
    """Return the scene for a model; None = the included network.

    Raises:
        ModelError: the model or its file does not exist, or it is not a mono network.
        BadSettings: the network is not metric by itself.
    """
    if model is None:
        parameters = ['-p', 'model:=sim-indoor', '-p', 'allow_simulator_model:=true']
        return _simulator('mono_depth', parameters, 'sim-indoor', BOUNDS)
    check_available(model, 'mono')
    if not find_manifest(model)[0].metric_by_itself:
        raise BadSettings(f'--model is {model}, which is not metric by itself; expected a metric network')
    remapping = ['-r', 'left/image_rect:=image', '-r', 'left/camera_info:=camera_info']
    return _Scene(
        'left image of the Motorcycle pair',
        ['depth_ros.tools.file_camera', '--ros-args', *remapping],
        'mono_depth',
        ['-p', f'model:={model}'],
        model,
        load_motorcycle().depth_m,
        None,
    )


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 0 if depth and points were received and the error is within bounds."""
    make_folder(options.out)
    if options.multiview:
        scene = _simulator('multiview_depth', _MULTIVIEW_PARAMETERS, 'odometry, no network', MULTIVIEW_BOUNDS)
    else:
        scene = _scene(options.model)
    print(
        f'camera ({scene.camera_name}, 10 Hz) → {scene.node} ({scene.method}) → listener: three processes on a graph. '
        'Starting …'
    )
    line = LiveLine(lambda graph: _accuracy_text(graph, scene))
    graph = run_graph(
        scene.camera,
        [f'depth_ros.ros.{scene.node}', '--ros-args', *scene.parameters, '--log-level', 'error'],
        options.seconds,
        line.show,
        shared_memory=not options.no_shared_memory,
        extra=viewer_command(options),
    )
    line.end()
    accuracy = _accuracy(graph, scene)
    report = {
        **graph_figures(graph),
        'valid_fraction': round(accuracy.valid_share, 4),
        'abs_rel': round(accuracy.abs_rel, 4) if accuracy.valid_share else None,
        'delta1': round(accuracy.delta1, 4) if accuracy.valid_share else None,
    }
    failures = _failures(graph, accuracy, scene.bounds)
    report_path: Path = options.report or options.out / 'report.json'
    bounds = scene.bounds
    limits = ('', '', '') if bounds is None else (
        f'at least {bounds.valid_share:.0%}', f'at most {bounds.abs_rel:g}', f'at least {bounds.delta1:.0%}'
    )  # fmt: skip
    print_results(
        report,
        (
            ('pixels with depth', f'{accuracy.valid_share:.1%}', limits[0]),
            ('mean relative error (AbsRel)', f'{accuracy.abs_rel:.3f}', limits[1]),
            ('within 25 % (delta1)', f'{accuracy.delta1:.1%}', limits[2]),
        ),
    )
    return write_results(graph, options.out, report_path, report, failures)


def _pairs(graph: Graph, scene: _Scene) -> list[tuple[Float32Array, Float32Array]]:
    """Return received depth images, each with the true depth."""
    if scene.truth_m is None:
        return graph.listener.depth_with_truth()
    depth_m = graph.listener.depth_m()
    return [] if depth_m is None else [(depth_m, scene.truth_m)]


def _accuracy(graph: Graph, scene: _Scene) -> DepthAccuracy:
    """Return the mean accuracy of the received depth images."""
    return mean_accuracy([depth_accuracy(depth, truth) for depth, truth in _pairs(graph, scene)])


def _accuracy_text(graph: Graph, scene: _Scene) -> str:
    pairs = _pairs(graph, scene)
    if not pairs:
        return ''
    accuracy = depth_accuracy(*pairs[-1])
    return f'AbsRel {accuracy.abs_rel:.3f}   within 25 % {accuracy.delta1:6.1%}'


def _failures(graph: Graph, accuracy: DepthAccuracy, bounds: DepthAccuracy | None) -> list[str]:
    listener: Any = graph.listener
    if not listener.depth_received:
        return ['no depth image received; see the messages above']
    failures = [] if listener.points_received else ['no point cloud received']
    if bounds is None:
        return failures
    if accuracy.valid_share < bounds.valid_share:
        failures.append(
            f'{accuracy.valid_share:.1%} of the pixels have depth; expected at least {bounds.valid_share:.0%}'
        )
    if not accuracy.abs_rel <= bounds.abs_rel:  # NaN fails too
        failures.append(f'AbsRel is {accuracy.abs_rel:.3f}; expected at most {bounds.abs_rel:g}')
    if not accuracy.delta1 >= bounds.delta1:
        failures.append(f'delta1 is {accuracy.delta1:.3f}; expected at least {bounds.delta1:g}')
    return failures
