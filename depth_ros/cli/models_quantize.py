"""``depth-ros models quantize``: an INT8 version of a network, calibrated with the user's images."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from depth_ros.cli.node_options import add_parameter_options, add_topic_options, settings_of
from depth_ros.errors import BadFile, ModelMismatch
from depth_ros.messages.topic_names import TopicNames
from depth_ros.networks.catalog import check_files, find_manifest
from depth_ros.networks.manifest import Manifest
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

if TYPE_CHECKING:
    from depth_ros.export.quantize_model import QuantizationReport
    from depth_ros.types import Frame, StereoFrame

_DEFAULT_LIMIT = 0.05


def add_quantize(actions: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the action."""
    quantizing = actions.add_parser(
        'quantize', help='write an INT8 version of an ONNX model, calibrated with your images, as the model ID-int8'
    )
    quantizing.add_argument('id', metavar='ID|FILE', help='id of a model, its manifest, or its model file')
    source = quantizing.add_mutually_exclusive_group(required=True)
    source.add_argument('--images', type=Path, metavar='DIR', help='folder of images of the camera')
    source.add_argument(
        '--bag', type=Path, metavar='BAG',
        help='recording of the camera; the options -p, --params, --namespace and -r are those of the node',
    )  # fmt: skip
    quantizing.add_argument(
        '--frames', type=int, default=100, metavar='N',
        help='largest number of frames, evenly spread; the last quarter is held out for the comparison (100)',
    )  # fmt: skip
    quantizing.add_argument(
        '--limit', type=float, default=_DEFAULT_LIMIT, metavar='X',
        help='largest mean relative difference to full precision on the held-out frames; above it, nothing is stored '
        f'({_DEFAULT_LIMIT})',
    )  # fmt: skip
    quantizing.add_argument('--json', action='store_true', help='print the figures as JSON')
    add_parameter_options(quantizing)
    add_topic_options(quantizing)
    quantizing.set_defaults(action=_quantize)


def _quantize(options: argparse.Namespace) -> int:
    from depth_ros.export.calibration_frames import split_frames
    from depth_ros.export.quantize_model import quantize

    manifest, folder = find_manifest(options.id)
    check_files(manifest, folder)
    source = (options.images or options.bag).resolve()
    report = quantize(manifest, folder, split_frames(_frames(options, manifest), source), source.name, options.limit)
    print(json.dumps(asdict(report)) if options.json else _table(report))
    if report.refused:
        raise ModelMismatch(
            f'{report.id} was not stored: on the held-out frames it differs from full precision by '
            f'{report.mean_difference:.2%} on average; expected at most {report.limit:.2%}. Use more frames that show '
            'what the camera will see, or a larger --limit'
        )
    if not options.json:
        print(f'parameter of the node: model: {report.id}')
    return 0


def _frames(options: argparse.Namespace, manifest: Manifest) -> 'list[Frame | StereoFrame]':
    from depth_ros.export.calibration_frames import frames_of_bag, frames_of_images

    if options.frames < 1:
        raise BadFile(f'--frames is {options.frames}; expected at least 1')
    if options.images is None:
        mono, names = manifest.task == 'mono', TopicNames(options.namespace, options.remaps)
        settings = settings_of(options, MonoSettings) if mono else settings_of(options, StereoSettings)
        return frames_of_bag(options.bag, settings, names, options.frames)
    if not options.images.is_dir():
        raise BadFile(f'{options.images} is not a folder; expected a folder of images')
    if manifest.task == 'stereo' or any(each.role == 'unit_rays' for each in manifest.inputs):
        needed = 'pairs of images' if manifest.task == 'stereo' else 'images with camera_info'
        raise BadFile(f'{manifest.id} needs {needed}, which a folder of images does not contain. Use --bag')
    return frames_of_images(options.images, options.frames)


def _table(report: 'QuantizationReport') -> str:
    (size_before, size_after), (before_ms, after_ms) = report.size_mb, report.median_ms
    times = before_ms / after_ms
    speed = f'{times:.2f} times as fast' if times >= 1 else f'{1 / times:.2f} times as slow; INT8 gains nothing here'
    return '\n'.join(
        [
            f'{report.id}: calibrated with {report.calibration_frames} frames, compared on {report.held_out_frames} '
            'others',
            f'  {"":<22}{"original":>10}{"int8":>10}',
            f'  {"size, MB":<22}{size_before:>10}{size_after:>10}',
            f'  {"image to depth, ms":<22}{before_ms:>10}{after_ms:>10}  {speed} on the CPU of this machine',
            f'  {"mean difference":<32}{report.mean_difference:>10.2%}  limit {report.limit:.2%}',
            f'  {"frame with the largest":<32}{report.largest_difference:>10.2%}',
        ]
    )
