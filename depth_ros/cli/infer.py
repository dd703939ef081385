"""``depth-ros infer``: files in, metric depth out. No ROS."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.files.calibration import read_pair
from depth_ros.files.pictures import read_picture, write_picture
from depth_ros.files.ply import write_ply
from depth_ros.pipeline import depth_map, stereo_estimator, stereo_frame
from depth_ros.settings import DEFAULTS, RULES, Settings
from depth_ros.stages.colorize import colorize
from depth_ros.stages.millimetres import to_millimetres
from depth_ros.stages.project import project
from depth_ros.types import DepthMap

_SETTINGS = ('quality', 'range_min_m', 'range_max_m', 'max_disparity', 'processing_scale', 'rectify', 'colormap')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of the estimator come from the table of parameters."""
    files = parser.add_argument_group('files')
    files.add_argument('--left', type=Path, required=True, help='left picture (png, jpg, tif, …)')
    files.add_argument('--right', type=Path, required=True, help='right picture, same size')
    files.add_argument(
        '--left-info', type=Path, required=True, metavar='FILE',
        help='camera_info YAML as the ROS camera calibrator writes it, or a Middlebury calib.txt for both cameras',
    )  # fmt: skip
    files.add_argument('--right-info', type=Path, metavar='FILE', help='camera_info YAML of the right camera')
    files.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the results; made if missing')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    estimation = parser.add_argument_group('estimation (the parameters of the stereo_depth node)')
    for name in _SETTINGS:
        default, rule = DEFAULTS[name], RULES[name]
        options = ['--' + spelling.replace('_', '-') for spelling in dict.fromkeys((name.removesuffix('_m'), name))]
        text = f'{rule.description} ({default})'
        if isinstance(default, bool):
            estimation.add_argument(*options, dest=name, action='store_true', help=text)
        else:
            estimation.add_argument(
                *options, dest=name, type=type(default), default=default, choices=rule.choices or None, help=text,
                metavar=None if rule.choices else (rule.unit or 'X').upper(),
            )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Estimate one pair and write the results."""
    settings = Settings(**{name: getattr(options, name) for name in _SETTINGS})
    left, right = read_picture(options.left), read_picture(options.right)
    calibrations = read_pair(options.left_info, options.right_info)
    started_s = time.perf_counter()
    frame = stereo_frame(left, right, *calibrations, settings)
    depth = depth_map(frame, stereo_estimator(settings), settings)
    milliseconds = 1e3 * (time.perf_counter() - started_s)
    figures = {**_figures(depth), 'ms': round(milliseconds, 1), 'out': str(options.out)}
    _write(depth, options.out, options.colormap)
    print(json.dumps(figures) if options.json else _sentence(figures))
    return 0


def _figures(depth: DepthMap) -> dict[str, Any]:
    known = depth.depth_m[np.isfinite(depth.depth_m)]
    figures: dict[str, Any] = {
        'width': depth.camera.width,
        'height': depth.camera.height,
        'valid_fraction': round(known.size / depth.depth_m.size, 4),
    }
    for name, function in (('min_m', np.min), ('median_m', np.median), ('max_m', np.max)):
        figures[name] = round(float(function(known)), 4) if known.size else None
    return figures


def _sentence(figures: dict[str, Any]) -> str:
    if figures['min_m'] is None:
        return (
            f'{figures["width"]}x{figures["height"]}: no pixel could be matched. Are these the two views of one scene?'
        )
    return (
        f'{figures["width"]}x{figures["height"]}, {figures["valid_fraction"]:.1%} known, '
        f'{figures["min_m"]:.2f} / {figures["median_m"]:.2f} / {figures["max_m"]:.2f} m (min / median / max), '
        f'{figures["ms"]:.0f} ms → {figures["out"]}'
    )


def _write(depth: DepthMap, out: Path, colormap: Any) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        np.save(out / 'depth.npy', depth.depth_m)
        if depth.disparity is not None:
            np.save(out / 'disparity.npy', depth.disparity.disparity_px)
    except OSError as error:
        raise BadFile(f'{out} cannot be written: {error.strerror}') from error
    write_picture(out / 'depth.png', to_millimetres(depth.depth_m))
    write_picture(out / 'depth_turbo.png', colorize(depth.depth_m, colormap))
    write_ply(out / 'points.ply', project(depth, colored=True, organized=False))
