"""``depth-ros models bench``: time of a network from image to depth, also on an inference server."""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import psutil

from depth_ros.cli.argument_types import add_device_id, size
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.networks.catalog import find_manifest, has_all_files
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import rules
from depth_ros.types import Camera, Frame, StereoFrame, StereoRig

_WARM_UP = 2


def add_bench(actions: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the action."""
    bench = actions.add_parser('bench', help='measure the time of a network on this machine, from image to depth')
    bench.add_argument('id', metavar='ID|FILE', help='id of a model, its manifest, or its model file')
    bench.add_argument(
        '--device', default='auto', choices=rules(MonoSettings)['device'].choices,
        help='device that runs the network (auto); with remote, the run on this machine is measured too, if the model '
        'is installed',
    )  # fmt: skip
    add_device_id(bench)
    for name, metavar in (('url', 'URL'), ('remote-ca-file', 'FILE'), ('remote-token-file', 'FILE')):
        text = f'parameter {name.replace("-", "_")} of the node, for --device remote'
        bench.add_argument(f'--{name}', default='', metavar=metavar, help=text)
    bench.add_argument(
        '--image-size', type=size, default=(640, 480), metavar='WxH', help='size of the images (640x480)'
    )
    bench.add_argument('--repeat', type=int, default=20, metavar='N', help='number of images (20)')
    bench.add_argument('--json', action='store_true', help='print the figures as JSON')
    bench.set_defaults(action=_bench)


def _bench(options: argparse.Namespace) -> int:
    """Run a network on random images; the run time does not depend on the content."""
    width, height = options.image_size
    manifest, folder = find_manifest(options.id)
    remote = {'url': options.url, 'remote_deadline_ms': 60000.0} if options.device == 'remote' else {}
    credentials = {name: getattr(options, name) for name in ('remote_ca_file', 'remote_token_file')}
    runs: dict[str, Callable[[], object]] = {}
    with ExitStack() as opened:
        for device in (options.device, *(['auto'] if remote and has_all_files(manifest, folder) else [])):
            values = {
                'model': options.id,
                'device': device,
                'device_id': options.device_id,
                'allow_simulator_model': True,
            }
            values |= {**remote, **credentials} if device == 'remote' else {}
            estimator, runs[device] = _open(manifest.task == 'mono', values, width, height)
            opened.callback(estimator.close)
            if device == options.device:
                name = estimator.name
        times_ms: dict[str, list[float]] = {device: [] for device in runs}
        for _ in range(options.repeat + _WARM_UP):
            for device, run in runs.items():  # interleaved, so that both see the same load of the machine
                started_s = time.perf_counter()
                run()
                times_ms[device].append(1e3 * (time.perf_counter() - started_s))
    p50, p95 = np.percentile(times_ms[options.device][_WARM_UP:], (50, 95))
    figures: dict[str, Any] = {
        'model': name, 'image': f'{width}x{height}', 'median_ms': round(p50, 2), 'p95_ms': round(p95, 2),
        'rss_mb': round(psutil.Process().memory_info().rss / 2**20, 1),
    }  # fmt: skip
    if len(runs) > 1:
        local = float(np.median(times_ms['auto'][_WARM_UP:]))
        figures |= {'local_ms': round(local, 2), 'overhead_ms': round(p50 - local, 2)}
    print(json.dumps(figures) if options.json else '\n'.join(f'  {key:<12}{value}' for key, value in figures.items()))
    return 0


def _open(mono: bool, values: dict[str, Any], width: int, height: int) -> tuple[Estimator | MonoEstimator, Any]:
    """Return a network, and a function that runs it on a random image or pair."""
    rng = np.random.default_rng(0)
    camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2)]
    if mono:
        network = mono_estimator(MonoSettings(**values))
        return network, partial(network.estimate, Frame(images[0], camera))
    matcher = stereo_estimator(StereoSettings(**values))
    return matcher, partial(matcher.estimate, StereoFrame(images[0], images[1], StereoRig(camera, camera.cx, 0.1)))
