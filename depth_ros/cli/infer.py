"""``depth-ros infer``: compute depth from files. Needs no ROS."""

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_ros.camera_state import CameraState
from depth_ros.cli.infer_hints import raw_image_hint, rows_hint, stereo_hints
from depth_ros.cli.node_options import add_parameter_options, settings_of
from depth_ros.doctor.machine_checks import needs_focal_length
from depth_ros.errors import BadFile
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.evaluation.datasets.sample import decode_truth, read_array
from depth_ros.files.calibration_files import read_camera_info, read_pair
from depth_ros.files.image_files import list_image_files, read_image_file, write_image_file
from depth_ros.files.ply_file import write_ply
from depth_ros.files.result_folders import make_folder
from depth_ros.pipeline import (
    depth_map,
    mono_depth_map,
    mono_estimator,
    mono_frame,
    stereo_estimator,
    stereo_frame,
)  # fmt: skip
from depth_ros.settings.common_settings import SettingsT
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import defaults, rules
from depth_ros.stages.colorize import colorize, colorize_nearness
from depth_ros.stages.depth_encoding import to_millimetres
from depth_ros.stages.project import project
from depth_ros.stages.relative_scaling import single_nearness
from depth_ros.stereo.row_measurement import with_aligned_rows
from depth_ros.types import Calibration, DepthMap, Float32Array, RelativeMap, UInt8Array

_SETTINGS = (
    'model', 'device', 'device_id', 'allow_fallback', 'threads', 'quality', 'range_min_m', 'range_max_m',
    'max_disparity', 'processing_scale', 'rectify', 'colormap',
)  # fmt: skip
_RESULTS = (
    'depth.npy', 'disparity.npy', 'depth.png', 'depth_turbo.png', 'points.ply', 'relative.npy', 'relative_turbo.png',
)  # fmt: skip
"""All files that a run can write into a folder; those of an earlier run are removed."""
_VIDEOS = ('.mp4', '.avi', '.mkv', '.mov', '.webm')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of the estimator come from the parameter table."""
    stereo = parser.add_argument_group('stereo pair')
    stereo.add_argument('--left', type=Path, metavar='FILE', help='left image (png, jpg, tif, …)')
    stereo.add_argument('--right', type=Path, metavar='FILE', help='right image, of the same size')
    stereo.add_argument(
        '--left-info', type=Path, metavar='FILE',
        help='camera_info YAML as written by the ROS camera calibrator, or a Middlebury calib.txt for both cameras',
    )  # fmt: skip
    stereo.add_argument('--right-info', type=Path, metavar='FILE', help='camera_info YAML of the right camera')
    mono = parser.add_argument_group('single images (with --model)')
    mono.add_argument('--image', type=Path, metavar='PATH', help='an image, a folder of images, or a video')
    mono.add_argument(
        '--camera-info', type=Path, metavar='FILE', help='camera_info YAML; needed for the point cloud, and for metric '
        'depth with some models',
    )  # fmt: skip
    mono.add_argument(
        '--prompt', type=Path, metavar='FILE', help='measured depth of the whole image, for networks that take one as '
        'an input: 16-bit PNG in millimetres, or NPY, TIFF or PFM in metres; 0 and NaN = unknown',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder for the results; created if missing'
    )
    parser.add_argument('--json', action='store_true', help='print the figures as JSON, one line per image')
    estimation = parser.add_argument_group('estimation (the parameters of the nodes)')
    for name in _SETTINGS:
        default, rule = defaults(StereoSettings)[name], rules(StereoSettings)[name]
        options = ['--' + spelling.replace('_', '-') for spelling in dict.fromkeys((name.removesuffix('_m'), name))]
        text = f'{rule.description} ({default})' if default != '' else rule.description
        if isinstance(default, bool):
            estimation.add_argument(*options, dest=name, action='store_true', default=None, help=text)
        else:
            estimation.add_argument(
                *options, dest=name, type=type(default), choices=rule.choices or None, help=text,
                metavar=None if rule.choices else (rule.unit or ('ID|FILE' if name == 'model' else 'X')).upper(),
            )  # fmt: skip
    add_parameter_options(parser)


def run(options: argparse.Namespace) -> int:
    """Estimate depth and write the results.

    Raises:
        BadFile: the options name neither a pair nor images, or a file is invalid.
    """
    stereo = options.left and options.right and options.left_info
    if not options.image and not stereo:
        raise BadFile('give --image (with --model), or --left, --right and --left-info; see depth-ros infer --help')
    make_folder(options.out)
    for hint in _run_mono(options) if options.image else _run_stereo(options):
        print(f'depth-ros: {hint}', file=sys.stderr)
    return 0


def _settings(options: argparse.Namespace, kind: type[SettingsT]) -> SettingsT:
    """Return the settings; the options of this command override ``-p``."""
    named = {name: getattr(options, name) for name in _SETTINGS if name in defaults(kind)}
    given = {name: value for name, value in named.items() if value is not None}
    settings = settings_of(options, kind).changed({**given, 'allow_simulator_model': True})
    options.colormap = settings.colormap
    return settings


def _run_stereo(options: argparse.Namespace) -> list[str]:
    """Estimate depth of the pair and write it; return hints for the user."""
    settings = _settings(options, StereoSettings)
    left, right = read_image_file(options.left), read_image_file(options.right)
    calibrations = read_pair(options.left_info, options.right_info)
    with closing(stereo_estimator(settings)) as estimator:
        started_s = time.perf_counter()
        mask = CameraState().mask.current(settings.filter_mask_file)
        frame, unaligned = stereo_frame(left, right, *calibrations, settings), ''
        if settings.align_rows:
            frame, unaligned = with_aligned_rows(frame)
        depth = depth_map(frame, estimator, settings, mask)
    _report(depth, options, options.out, started_s)
    valid_share = float(np.isfinite(depth.depth_m).mean())
    hints = stereo_hints((left, right), calibrations, settings, valid_share)
    hints = hints or raw_image_hint(options.left_info, calibrations[0], settings)
    hints = hints or rows_hint(frame, settings, valid_share)
    rows = [f'warning: align_rows has no effect: {unaligned}'] if unaligned else []
    return [*_caution(estimator), *rows, *hints]


def _run_mono(options: argparse.Namespace) -> list[str]:
    """Estimate depth of the image, or of all images of a folder or video, and write it; return hints for the user."""
    settings = _settings(options, MonoSettings)
    calibration = read_camera_info(options.camera_info) if options.camera_info else None
    hints: list[str] = []
    if calibration is not None:
        hints += raw_image_hint(options.camera_info, calibration, settings)
    elif needs_focal_length(settings):
        hints.append(f'hint: {settings.model} needs the focal length for metres: give --camera-info FILE')
    images, count = _images(options.image)
    if options.prompt and count != 1:
        raise BadFile(f'--prompt belongs to one image and {options.image} has {count}; give each image with its own')
    state = CameraState()
    with closing(mono_estimator(settings)) as estimator:
        if options.prompt and getattr(estimator, 'prompt_size', None) is None:
            raise BadFile(f'--prompt is given and {estimator.name} takes no measured depth as an input; omit it')
        hints = [*_caution(estimator), *hints]
        if count == 1:
            _, rgb = next(images)
            _estimate_mono(rgb, calibration, state, estimator, settings, options, options.out)
            return hints
        from tqdm import tqdm

        _remove_results(options.out, keep=())
        for name, rgb in tqdm(images, total=count, unit='image'):
            _estimate_mono(rgb, calibration, state, estimator, settings, options, options.out / name)
    return hints


def _caution(estimator: Estimator | MonoEstimator) -> list[str]:
    """Return the caution in the manifest of a network; the stereo matcher has none."""
    caution = str(getattr(estimator, 'caution', ''))
    return [f'warning: {caution}'] if caution else []


def _estimate_mono(
    rgb: UInt8Array,
    calibration: Calibration | None,
    state: CameraState,
    estimator: MonoEstimator,
    settings: MonoSettings,
    options: argparse.Namespace,
    out: Path,
) -> None:
    started_s = time.perf_counter()
    frame = mono_frame(rgb, calibration, settings, rectifier=state.rectifier)
    if options.prompt:
        frame = replace(frame, prompt_m=_prompt_m(options.prompt))
    depth = mono_depth_map(frame, estimator, settings, mask=state.mask.current(settings.filter_mask_file))
    _report(depth, options, out, started_s)


def _prompt_m(path: Path) -> Float32Array:
    """Read a depth file; integers are millimetres."""
    raw = read_array(path)
    return decode_truth(raw, 1000.0 if np.issubdtype(raw.dtype, np.integer) else 1.0)


def _images(path: Path) -> tuple[Iterator[tuple[str, UInt8Array]], int]:
    """Return the named images of a file, a folder or a video, and their number."""
    if path.suffix.lower() in _VIDEOS:
        video = cv2.VideoCapture(str(path))
        if not video.isOpened():
            raise BadFile(f'{path} cannot be opened as a video')
        return _video_frames(video), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    files = list_image_files(path)
    return ((file.stem, read_image_file(file)) for file in files), len(files)


def _video_frames(video: Any) -> Iterator[tuple[str, UInt8Array]]:
    number = 0
    while (read := video.read())[0]:
        yield f'{number:06d}', cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
        number += 1


def _report(depth: DepthMap | RelativeMap, options: argparse.Namespace, out: Path, started_s: float) -> None:
    milliseconds = 1e3 * (time.perf_counter() - started_s)
    values = depth.depth_m if isinstance(depth, DepthMap) else depth.values
    figures = {**_figures(values), 'ms': round(milliseconds, 1), 'out': str(out)}
    if isinstance(depth, RelativeMap):
        figures['not_metric'] = depth.missing_for_metres
        _write_relative(depth, out, options.colormap)
    else:
        _write_depth(depth, out, options.colormap)
    print(json.dumps(figures) if options.json else _sentence(figures))


def _figures(values: Float32Array) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    figures: dict[str, Any] = {
        'width': values.shape[1],
        'height': values.shape[0],
        'valid_fraction': round(known.size / values.size, 4),
    }
    for name, function in (('min_m', np.min), ('median_m', np.median), ('max_m', np.max)):
        figures[name] = round(float(function(known)), 4) if known.size else None
    return figures


def _sentence(figures: dict[str, Any]) -> str:
    size = f'{figures["width"]}x{figures["height"]}'
    if figures['min_m'] is None:
        return f'{size}: no pixel has depth. Check the images, their order (--left, --right) and --range-min'
    unit = 'm' if 'not_metric' not in figures else f'without unit ({figures["not_metric"]})'
    return (
        f'{size}, {figures["valid_fraction"]:.1%} valid, '
        f'{figures["min_m"]:.2f} / {figures["median_m"]:.2f} / {figures["max_m"]:.2f} {unit} (min / median / max), '
        f'{figures["ms"]:.0f} ms → {figures["out"]}'
    )


def _write_depth(depth: DepthMap, out: Path, colormap: Any) -> None:
    arrays = {'depth': depth.depth_m}
    if depth.disparity is not None:
        arrays['disparity'] = depth.disparity.disparity_px
    _save(out, arrays)
    write_image_file(out / 'depth.png', to_millimetres(depth.depth_m))
    write_image_file(out / 'depth_turbo.png', colorize(depth.depth_m, colormap))
    written = {f'{name}.npy' for name in arrays} | {'depth.png', 'depth_turbo.png'}
    if depth.camera is not None:
        write_ply(out / 'points.ply', project(depth, colored=True, organized=False))
        written.add('points.ply')
    _remove_results(out, written)


def _write_relative(relative: RelativeMap, out: Path, colormap: Any) -> None:
    _save(out, {'relative': relative.values})
    write_image_file(out / 'relative_turbo.png', colorize_nearness(single_nearness(relative), colormap))
    _remove_results(out, {'relative.npy', 'relative_turbo.png'})


def _remove_results(out: Path, keep: Collection[str]) -> None:
    """Remove the results of an earlier run from a folder, except ``keep``."""
    for name in set(_RESULTS) - set(keep):
        (out / name).unlink(missing_ok=True)


def _save(out: Path, arrays: dict[str, Float32Array] | dict[str, Sequence[Any]]) -> None:
    try:
        out.mkdir(exist_ok=True)
        for name, values in arrays.items():
            np.save(out / f'{name}.npy', values)
    except OSError as error:
        raise BadFile(f'{out} cannot be written: {error.strerror}') from error
