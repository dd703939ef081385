"""``depth-ros bench graph``: measure camera, node and listener as three processes.

The node runs without an estimator, or with a mono network.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from depth_ros.cli.bench_stages import add_json, add_size, write_figures
from depth_ros.cli.demo_graph import Graph, run_graph
from depth_ros.files.image_files import write_image_file
from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.world import make_world
from depth_ros.types import Camera, UInt8Array

_WORLD_SEED, _RENDERED_FRAMES = 1, 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_size(parser)
    parser.add_argument('--rate', type=float, default=30.0, help='frames per second of the camera (30)')
    parser.add_argument('--seconds', type=float, default=10.0, help='duration of the measurement (10)')
    parser.add_argument(
        '--model', metavar='ID|FILE', help='run mono_depth with this network on rendered images of the simulator'
    )
    parser.add_argument(
        '--full-clouds',
        action='store_true',
        help='publish xyzrgb clouds at full resolution; subscribe with best-effort QoS',
    )
    parser.add_argument('--no-shared-memory', action='store_true', help='use the default transports of Fast DDS')
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Run the measurement and print or write the figures."""
    parameters = {'cloud_stride': 1, 'cloud_organized': True, 'cloud_rate_hz': 0.0} if options.full_clouds else {}
    with tempfile.TemporaryDirectory() as folder:
        images = _rendered if options.model else _noise
        camera = _camera(Path(folder), images(options.width, options.height), options.rate)
        node = ['depth_ros.tools.null_node', '--ros-args', '--log-level', 'error']
        if options.model:
            camera += ['-r', 'left/image_rect:=image', '-r', 'left/camera_info:=camera_info']
            node[0] = 'depth_ros.ros.mono_depth'
            parameters = {**parameters, 'model': options.model, 'allow_simulator_model': True}
        for name, value in parameters.items():
            node += ['-p', f'{name}:={value if isinstance(value, str) else str(value).lower()}']
        graph = run_graph(
            camera, node, options.seconds, _show, options.full_clouds, shared_memory=not options.no_shared_memory
        )
    if sys.stderr.isatty():
        print(file=sys.stderr)
    write_figures(_figures(graph, warm_up_frames=round(options.rate)), options.json)
    return 0


def _noise(width: int, height: int) -> list[UInt8Array]:
    return [np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)]


def _rendered(width: int, height: int) -> list[UInt8Array]:
    """Return camera images along the path of the simulated robot, one second apart."""
    world = make_world(_WORLD_SEED)
    camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2 - 0.5, height / 2 - 0.5)
    return [
        render(world, world.pose_at(float(second)), RobotMount(0.5), camera)[0] for second in range(_RENDERED_FRAMES)
    ]


def _camera(folder: Path, images: list[UInt8Array], rate_hz: float) -> list[str]:
    """Write the images, the same for left and right, with a calibration; return module and arguments of the camera."""
    height, width = images[0].shape[:2]
    arguments = ['depth_ros.tools.file_camera', '--ros-args', '-p', f'rate_hz:={rate_hz}', '--log-level', 'warn']
    focal = 0.8 * width
    for side, tx in (('left', 0.0), ('right', -0.1 * focal)):
        (folder / side).mkdir()
        for number, image in enumerate(images):
            write_image_file(folder / side / f'{number:03d}.png', image)
        k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
        info: dict[str, Any] = {
            'image_width': width,
            'image_height': height,
            'camera_name': 'bench',
            'camera_matrix': {'data': k},
            'distortion_model': 'plumb_bob',
            'distortion_coefficients': {'data': [0.0] * 5},
            'rectification_matrix': {'data': [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]},
            'projection_matrix': {'data': [*k[:3], tx, *k[3:6], 0.0, *k[6:], 0.0]},
        }
        (folder / f'{side}.yaml').write_text(yaml.safe_dump(info), encoding='utf-8')
        arguments += ['-p', f'{side}:={folder}/{side}', '-p', f'{side}_info:={folder}/{side}.yaml']
    return arguments


def _show(graph: Graph) -> None:
    if sys.stderr.isatty():
        text = (
            f'{graph.seconds:5.1f} s   {graph.listener.depth_received} depth, {graph.listener.points_received} clouds'
        )
        print(f'\r{text}', end='', file=sys.stderr, flush=True)


def _figures(graph: Graph, warm_up_frames: int) -> dict[str, Any]:
    """Return the figures; every frame is counted as received, dropped by the node or lost in transport.

    The age leaves out the frames of the first second, while transports are set up.
    """
    listener = graph.listener
    received = int(listener.diagnostics.get('received', 0))
    published = int(listener.diagnostics.get('published', 0))
    lost = {
        'lost_before_node': graph.frames_sent - received,
        'lost_after_node': published - listener.depth_received,
        'in_flight': int(listener.diagnostics.get('in_flight', 0)),
    }
    rss = graph.node_rss_mb
    return {
        'sent': graph.frames_sent,
        'received': listener.depth_received,
        'clouds_received': listener.points_received,
        'dropped': {**listener.dropped(), **{reason: count for reason, count in lost.items() if count}},
        'age_ms': listener.age_percentiles(skip=warm_up_frames),
        'cpu_percent': round(graph.node_cpu_percent, 1),
        'rss_mb': {'start': round(rss[min(2, len(rss) - 1)], 1), 'end': round(rss[-1], 1)},
    }
