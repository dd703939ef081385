"""``depth-ros models``: list, show, download, check, measure, export and quantise networks."""

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

from depth_ros.cli.argument_types import not_negative, size
from depth_ros.cli.models_quantize import add_quantize
from depth_ros.errors import BadFile, DeviceUnavailable
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.catalog import command_to_get, find_manifest, has_all_files, installed_models, way_to_get
from depth_ros.networks.load_network import load_network, reference_beside
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.registry import RUNTIMES, registered_runtime
from depth_ros.networks.runtimes.runtime import Device, RuntimeOptions
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import rules
from depth_ros.types import Camera, Frame, StereoFrame, StereoRig

_DEVICES = rules(MonoSettings)['device'].choices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    listing = actions.add_parser('list', help='list the available models')
    listing.add_argument('--json', action='store_true', help='print the list as JSON')
    listing.set_defaults(action=_list)
    show = actions.add_parser('show', help='show the manifest of a model and where to get its file')
    show.add_argument('id', metavar='ID|FILE', help='id of a model, or its manifest')
    show.set_defaults(action=_show)
    check = actions.add_parser('check', help='load a model file and compare it with its manifest')
    check.add_argument('file', type=Path, metavar='FILE', help='model file')
    check.add_argument(
        '--manifest', metavar='ID|FILE', help='id of the model, or its manifest (FILE with the suffix .yaml)'
    )
    check.add_argument('--device', default='cpu', choices=_DEVICES, help='device that runs the network (cpu)')
    _add_device_id(check)
    check.set_defaults(action=_check)
    pulling = actions.add_parser(
        'pull', help='put the published file of a model into the cache: download it, or copy a local file'
    )
    pulling.add_argument('id', metavar='ID|FILE', help='id of a model, or its manifest')
    pulling.add_argument(
        '--from', dest='sources', action='append', default=[], metavar='URL|FILE',
        help='use https://…, hf://owner/repository/path or a local file instead of the address in the manifest; repeat '
        'the option for further files',
    )  # fmt: skip
    pulling.set_defaults(action=_pull)
    _add_bench(actions)
    building = actions.add_parser('build-engine', help='build the TensorRT engine of a model and store it in the cache')
    building.add_argument('id', metavar='ID|FILE', help='id of a model, its manifest, or its model file')
    building.add_argument(
        '--precision', default='fp32', choices=rules(MonoSettings)['precision'].choices,
        help='arithmetic of the engine (fp32)',
    )  # fmt: skip
    building.add_argument(
        '--image-size', default='', metavar='WxH',
        help='size of the images, for a model that accepts any input size (640x480)',
    )  # fmt: skip
    building.add_argument(
        '--cameras', type=int, default=1, metavar='N', help='number of cameras of the node that will use the engine (1)'
    )
    _add_device_id(building)
    building.set_defaults(action=_build_engine)
    exporting = actions.add_parser('export', help='export a checkpoint of transformers or diffusers to ONNX')
    exporting.add_argument('id', metavar='ID|FILE', help='id of a model, or its manifest')
    exporting.add_argument(
        '--weights',
        required=True,
        metavar='DIR|HUB_ID',
        help='folder with config.json, or an id on the Hugging Face hub',
    )
    exporting.add_argument(
        '--out',
        required=True,
        type=Path,
        metavar='FILE',
        help='ONNX file to write; its manifest is written beside it',
    )
    exporting.add_argument('--size', type=size, metavar='WxH', help='input size of the network (that of the manifest)')
    exporting.add_argument('--dynamic', action='store_true', help='accept any input size, if the model supports it')
    exporting.add_argument(
        '--fp16', action='store_true', help='export in half precision, for GPUs; the result is checked against fp32'
    )
    exporting.set_defaults(action=_export)
    add_quantize(actions)


def _add_bench(actions: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    bench = actions.add_parser('bench', help='measure the time of a network on this machine, from image to depth')
    bench.add_argument('id', metavar='ID|FILE', help='id of a model, its manifest, or its model file')
    bench.add_argument('--device', default='auto', choices=_DEVICES, help='device that runs the network (auto)')
    _add_device_id(bench)
    bench.add_argument(
        '--image-size', type=size, default=(640, 480), metavar='WxH', help='size of the images (640x480)'
    )
    bench.add_argument('--repeat', type=int, default=20, metavar='N', help='number of images (20)')
    bench.add_argument('--json', action='store_true', help='print the figures as JSON')
    bench.set_defaults(action=_bench)


def _add_device_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device-id', type=not_negative, default=0, metavar='N', help='number of the CUDA device (0)')


def run(options: argparse.Namespace) -> int:
    """Run the requested action."""
    return int(options.action(options))


_COLUMNS = '{:<46} {:<7} {:<9} {:<12} {:>8}  {:<10} {:<9} {:<10} {}'
_NO_FIGURES = '-'


def _list(options: argparse.Namespace) -> int:
    rows = [_row(manifest, folder) for manifest, folder in installed_models()]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(
        _COLUMNS.format(
            'id', 'task', 'depth', 'runtime', 'size', 'get by', 'installed', 'commercial', 'licence of the weights'
        )
    )
    for row in rows:
        size_text = '-' if row['size_mb'] is None else f'{row["size_mb"]:g} MB'
        depth, installed = 'metric' if row['metric'] else 'relative', 'yes' if row['installed'] else 'no'
        print(
            _COLUMNS.format(
                row['id'], row['task'], depth, row['runtime'], size_text, row['get'], installed, row['commercial'],
                row['licence'],
            )
        )  # fmt: skip
        print(f'    {row["published"] or _NO_FIGURES}')
    print(
        '\nThe second line states the published accuracy and speed (- = none with a known source). pull and export are '
        'actions of\ndepth-ros models; depth-ros models show <id> prints the source of the other files. '
        f'Files belong in {cache_folder()}/<id>/.'
    )
    return 0


def _row(manifest: Manifest, folder: Path) -> dict[str, Any]:
    return {
        'id': manifest.id,
        'family': manifest.family,
        'task': manifest.task,
        'metric': manifest.metric_by_itself,
        'needs': list(manifest.needs),
        'runtime': manifest.runtime.backends[0],
        'size_mb': manifest.artifact.size_mb,
        'get': way_to_get(manifest, folder),
        'licence': manifest.license.weights,
        'commercial': manifest.commercial_use,
        'published': manifest.published,
        'verified': manifest.verified,
        'runnable': manifest.runnable,
        'installed': has_all_files(manifest, folder),
    }


def _show(options: argparse.Namespace) -> int:
    manifest, folder = find_manifest(options.id)
    content = {key: value for key, value in asdict(manifest).items() if value not in (None, '', ())}
    print(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False, allow_unicode=True, width=110), end='')
    print(f'\n# source: {command_to_get(manifest, folder) or manifest.artifact.source}')
    for name in manifest.files:
        print(f'# file: {folder}/{name}')
    return 0


def _pull(options: argparse.Namespace) -> int:
    from depth_ros.networks.download import pull

    manifest, _ = find_manifest(options.id)
    for file in pull(manifest, tuple(options.sources)):
        checksum = 'matches the manifest' if file.declared else 'recorded; later changes of the file will be detected'
        print(f'{file.path}: sha256 {file.sha256}, {checksum}')
    print(f'licence of the weights: {manifest.license.weights}')
    print(f'parameter of the node: model: {manifest.id}')
    return 0


def _export(options: argparse.Namespace) -> int:
    from depth_ros.export.export_model import export  # needs torch and transformers

    manifest, _ = find_manifest(options.id)
    exported = export(manifest, options.weights, options.out, options.size, options.dynamic, options.fp16)
    sizes = ' and '.join(f'{width}x{height}' for width, height in exported.sizes)
    print(
        f'{exported.onnx} agrees with torch to {exported.difference:.1g} of the depth at {sizes}; its manifest is '
        f'{exported.manifest}'
    )
    print(f'parameter of the node: model: {exported.onnx}')
    return 0


def _bench(options: argparse.Namespace) -> int:
    """Run a network on random images; the run time does not depend on the content."""
    width, height = options.image_size
    rng = np.random.default_rng(0)
    camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    manifest, _ = find_manifest(options.id)
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2)]
    estimator: Estimator | MonoEstimator
    if manifest.task == 'mono':
        settings = MonoSettings(
            model=options.id, device=options.device, device_id=options.device_id, allow_simulator_model=True
        )
        estimator = mono = mono_estimator(settings)
        estimate: Callable[[], object] = partial(mono.estimate, Frame(images[0], camera))
    else:
        pair_settings = StereoSettings(
            model=options.id, device=options.device, device_id=options.device_id, allow_simulator_model=True
        )
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
    """Load the network as a node with device: tensorrt does; this builds the engine and stores it in the cache."""
    if options.cameras < 1:
        raise BadFile(f'--cameras is {options.cameras}; expected at least 1')
    values: dict[str, Any] = {
        'model': options.id, 'device': 'tensorrt', 'precision': options.precision, 'image_size': options.image_size,
        'device_id': options.device_id, 'allow_simulator_model': True,
    }  # fmt: skip
    watch = ProgressListener(lambda text: print(text, file=sys.stderr))
    manifest, _ = find_manifest(options.id)
    mono = manifest.task == 'mono'
    loaded = load_network((MonoSettings if mono else StereoSettings)(**values), watch, options.cameras)
    with closing((MonoNetwork if mono else StereoNetwork)(*loaded)) as network:
        if loaded.runtime.engines is None:
            raise DeviceUnavailable(
                f'{manifest.id} runs, but its engine could not be stored in the cache for the reason above; a node '
                'would build it at every start'
            )
        print(f'{network.name}; its engine is in {loaded.runtime.engines}')
    return 0


def _check(options: argparse.Namespace) -> int:
    """Load the file, compare its tensors with the manifest and run it; errors are reported by ``main``."""
    manifest, _ = find_manifest(options.manifest or str(options.file))
    device: Device = options.device
    backend = RUNTIMES[registered_runtime(manifest.runtime.backends, manifest.id)](
        options.file, RuntimeOptions(device, device_id=options.device_id)
    )
    network = (MonoNetwork if manifest.task == 'mono' else StereoNetwork)(
        manifest, backend, reference_beside(manifest, options.file)
    )
    print(f'{options.file}: matches the manifest of {network.name}')
    print(f'sha256 {sha256(options.file)}')
    network.close()
    return 0
