"""``depth-ros models``: which networks there are, what they need, and whether a file is what it should be."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from depth_ros.cli.argument_types import size
from depth_ros.errors import BadFile, DeviceUnavailable
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.catalog import command_to_get, find_manifest, has_all_files, shipped_models
from depth_ros.networks.load_network import load_network, reference_beside
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.runtimes.onnx_runtime import Device, OnnxRuntime, RuntimeOptions
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import rules
from depth_ros.types import Camera, Frame, StereoFrame, StereoRig

_DEVICES = rules(MonoSettings)['device'].choices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    listing = actions.add_parser('list', help='the models that are described')
    listing.add_argument('--json', action='store_true', help='as JSON')
    listing.set_defaults(action=_list)
    show = actions.add_parser('show', help='one model: what it takes, gives, needs, and where to get it')
    show.add_argument('id', metavar='ID|FILE', help='id of a model, or a manifest')
    show.set_defaults(action=_show)
    check = actions.add_parser('check', help='load a file and compare it with its manifest')
    check.add_argument('file', type=Path, metavar='FILE', help='ONNX file')
    check.add_argument('--manifest', metavar='ID|FILE', help='its manifest (FILE with .yaml)')
    check.add_argument('--device', default='cpu', choices=_DEVICES)
    check.set_defaults(action=_check)
    pulling = actions.add_parser('pull', help='fetch the published file of a model into the cache')
    pulling.add_argument('id', metavar='ID|FILE', help='id of the model, or its manifest')
    pulling.add_argument(
        '--from', dest='sources', action='append', default=[], metavar='URL',
        help="instead of the manifest's address; https://… or hf://owner/repository/path; again for further files",
    )  # fmt: skip
    pulling.set_defaults(action=_pull)
    _add_bench(actions)
    building = actions.add_parser('build-engine', help="build TensorRT's engine ahead of time, into the cache")
    building.add_argument('id', metavar='ID|FILE', help='id of a model, its manifest, or its ONNX file')
    building.add_argument('--precision', default='fp32', choices=rules(MonoSettings)['precision'].choices)
    building.add_argument(
        '--image-size', default='', metavar='WxH', help='size of the pictures, for a model of any size (640x480)'
    )
    building.add_argument(
        '--cameras', type=int, default=1, metavar='N', help='number of cameras of the node that will use it (1)'
    )
    building.set_defaults(action=_build_engine)
    exporting = actions.add_parser('export', help='make an ONNX file of a checkpoint of transformers or diffusers')
    exporting.add_argument('id', metavar='ID|FILE', help='id of the model, or its manifest')
    exporting.add_argument(
        '--weights', required=True, metavar='DIR|HUB_ID', help='folder with config.json, or a hub id'
    )
    exporting.add_argument(
        '--out', required=True, type=Path, metavar='FILE', help='ONNX file; its manifest goes beside it'
    )
    exporting.add_argument('--size', type=size, metavar='WxH', help="size of the network's input (the manifest's)")
    exporting.add_argument('--dynamic', action='store_true', help='let the file take any size, where the model can')
    exporting.add_argument(
        '--fp16', action='store_true', help='compute in half precision, for GPUs; checked against fp32'
    )
    exporting.set_defaults(action=_export)


def _add_bench(actions: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    bench = actions.add_parser('bench', help='measure a network on this machine, from picture to depth')
    bench.add_argument('id', metavar='ID|FILE', help='id of a model, its manifest, or its ONNX file')
    bench.add_argument('--device', default='auto', choices=_DEVICES)
    bench.add_argument('--image-size', type=size, default=(640, 480), metavar='WxH', help='size of the images')
    bench.add_argument('--repeat', type=int, default=20, help='pictures (20)')
    bench.add_argument('--json', action='store_true', help='as JSON')
    bench.set_defaults(action=_bench)


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(options.action(options))


def _list(options: argparse.Namespace) -> int:
    rows = [_row(manifest, folder) for manifest, folder in shipped_models()]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f'{"id":<38} {"task":<7} {"depth":<10} {"needs":<14} {"commercial use":<15} here')
    for row in rows:
        print(
            f'{row["id"]:<38} {row["task"]:<7} {"metric" if row["metric"] else "relative":<10} '
            f'{", ".join(row["needs"]) or "-":<14} {row["commercial"]!s:<15} {"yes" if row["installed"] else "no"}'
        )
    print(f'\nfiles belong in {cache_folder()}/<id>/; depth-ros models show <id> says where to get one')
    return 0


def _row(manifest: Manifest, folder: Path) -> dict[str, Any]:
    return {
        'id': manifest.id,
        'family': manifest.family,
        'task': manifest.task,
        'metric': manifest.metric_by_itself,
        'needs': list(manifest.needs),
        'commercial': manifest.commercial_use,
        'runnable': manifest.runnable,
        'installed': has_all_files(manifest, folder),
    }


def _show(options: argparse.Namespace) -> int:
    manifest, folder = find_manifest(options.id)
    content = {key: value for key, value in asdict(manifest).items() if value not in (None, '', ())}
    print(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False, allow_unicode=True, width=110), end='')
    print(f'\n# get it: {command_to_get(manifest, folder) or manifest.artifact.source}')
    for name in manifest.files:
        print(f'# put it: {folder}/{name}')
    return 0


def _pull(options: argparse.Namespace) -> int:
    from depth_ros.networks.download import pull

    manifest, _ = find_manifest(options.id)
    for file in pull(manifest, tuple(options.sources)):
        told = 'as its manifest says' if file.declared else 'remembered; a change will be noticed'
        print(f'{file.path}: sha256 {file.sha256}, {told}')
    print(f'licence of the weights: {manifest.license.weights}')
    print(f'use it: model: {manifest.id}')
    return 0


def _export(options: argparse.Namespace) -> int:
    from depth_ros.export.export_model import export  # torch and transformers, which nothing else needs

    manifest, _ = find_manifest(options.id)
    done = export(manifest, options.weights, options.out, options.size, options.dynamic, options.fp16)
    sizes = ' and '.join(f'{width}x{height}' for width, height in done.sizes)
    print(
        f'{done.onnx} agrees with torch to {done.difference:.1g} of the depth at {sizes}; {done.manifest} describes it'
    )
    print(f'use it: model: {done.onnx}')
    return 0


def _bench(options: argparse.Namespace) -> int:
    """Run a network on noise; a picture's content does not change how long it takes."""
    width, height = options.image_size
    rng = np.random.default_rng(0)
    camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    manifest, _ = find_manifest(options.id)
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2)]
    estimator: Estimator | MonoEstimator
    if manifest.task == 'mono':
        settings = MonoSettings(model=options.id, device=options.device, allow_simulator_model=True)
        estimator = mono = mono_estimator(settings)
        estimate: Callable[[], object] = partial(mono.estimate, Frame(images[0], camera))
    else:
        pair_settings = StereoSettings(model=options.id, device=options.device, allow_simulator_model=True)
        estimator = stereo = stereo_estimator(pair_settings)
        pair = StereoFrame(images[0], images[1], StereoRig(camera, camera.cx, 0.1))
        estimate = partial(stereo.estimate, pair)
    times_ms = []
    with closing(estimator):
        for _ in range(options.repeat + 2):
            started_s = time.perf_counter()
            estimate()
            times_ms.append(1e3 * (time.perf_counter() - started_s))
    p50, p95 = np.percentile(times_ms[2:], (50, 95))
    figures = {
        'model': estimator.name, 'image': f'{width}x{height}', 'median_ms': round(p50, 2), 'p95_ms': round(p95, 2),
        'rss_mb': round(psutil.Process().memory_info().rss / 2**20, 1),
    }  # fmt: skip
    print(json.dumps(figures) if options.json else '\n'.join(f'  {key:<12}{value}' for key, value in figures.items()))
    return 0


def _build_engine(options: argparse.Namespace) -> int:
    """Load the network as a node with device: tensorrt does, which builds its engine into the cache."""
    if options.cameras < 1:
        raise BadFile(f'--cameras is {options.cameras}; expected at least 1')
    values: dict[str, Any] = {
        'model': options.id, 'device': 'tensorrt', 'precision': options.precision, 'image_size': options.image_size,
        'allow_simulator_model': True,
    }  # fmt: skip
    watch = ProgressListener(lambda text: print(text, file=sys.stderr))
    manifest, _ = find_manifest(options.id)
    mono = manifest.task == 'mono'
    loaded = load_network((MonoSettings if mono else StereoSettings)(**values), watch, options.cameras)
    with closing((MonoNetwork if mono else StereoNetwork)(*loaded)) as network:
        if loaded.runtime.engines is None:
            raise DeviceUnavailable(
                f'{manifest.id} runs, but its engine could not be kept for the reason above; a node would build it at '
                'every start'
            )
        print(f'{network.name}; its engine is in {loaded.runtime.engines}')
    return 0


def _check(options: argparse.Namespace) -> int:
    """Load, compare tensors, run; anything wrong is raised and told by the command line."""
    manifest, _ = find_manifest(options.manifest or str(options.file))
    device: Device = options.device
    backend = OnnxRuntime(options.file, RuntimeOptions(device))
    network = (MonoNetwork if manifest.task == 'mono' else StereoNetwork)(
        manifest, backend, reference_beside(manifest, options.file)
    )
    print(f'{options.file}: fits {network.name}')
    print(f'sha256 {sha256(options.file)}')
    network.close()
    return 0
