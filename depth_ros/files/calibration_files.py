"""Reading of calibration files: camera_info YAML as used by ROS, and Middlebury calib.txt."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from depth_ros.errors import BadFile
from depth_ros.types import Calibration

T = TypeVar('T')


def read_camera_info(path: Path | str) -> Calibration:
    """Read a camera_info YAML, the format of camera_calibration and camera_info_manager.

    Raises:
        BadFile: the file is missing or not YAML, or lacks a valid entry; the message names the file and the key.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise BadFile(f'{path} is not valid YAML: {error}') from error
    if not isinstance(content, dict):
        raise BadFile(f'{path} contains {type(content).__name__}; expected a camera_info YAML (image_width, …)')
    return Calibration(
        width=_entry(path, content, 'image_width', _positive_int),
        height=_entry(path, content, 'image_height', _positive_int),
        k=_entry(path, content, 'camera_matrix', _matrix(9)),
        p=_entry(path, content, 'projection_matrix', _matrix(12)),
        r=_entry(path, content, 'rectification_matrix', _matrix(9)),
        d=_entry(path, content, 'distortion_coefficients', _matrix(None)),
        distortion_model=_entry(path, content, 'distortion_model', str),
        frame_id=str(content.get('camera_name', '')),
    )


def read_middlebury(path: Path) -> tuple[Calibration, Calibration]:
    """Read a Middlebury 2014 ``calib.txt`` (cam0, cam1, doffs, baseline in mm, width, height) as left and right.

    Raises:
        BadFile: the file is missing, or one of its entries is missing or invalid.
    """
    entries = dict(re.findall(r'^\s*(\w+)\s*=\s*(.+?)\s*$', _text(path), re.MULTILINE))
    cam0, cam1 = (_entry(path, entries, name, _bracketed) for name in ('cam0', 'cam1'))
    baseline_mm = _entry(path, entries, 'baseline', float)
    width, height = (_entry(path, entries, name, int) for name in ('width', 'height'))
    return stereo_calibration(width, height, cam0, cam1, baseline_mm / 1000)


def stereo_calibration(
    width: int, height: int, k_left: tuple[float, ...], k_right: tuple[float, ...], baseline_m: float
) -> tuple[Calibration, Calibration]:
    """Return the calibrations of a rectified, undistorted pair from the 3x3 intrinsics of both images, row-major."""

    def calibration(k: tuple[float, ...], tx: float) -> Calibration:
        p = (*k[0:3], tx, *k[3:6], 0.0, *k[6:9], 0.0)
        return Calibration(width, height, k=k, p=p, d=(0.0,) * 5)

    return calibration(k_left, 0.0), calibration(k_right, -k_right[0] * baseline_m)


def read_pair(left: Path | str, right: Path | str | None = None) -> tuple[Calibration, Calibration]:
    """Read the calibrations of a pair: two camera_info YAMLs, or one calib.txt.

    Raises:
        BadFile: a file is unusable, or the second YAML is missing.
    """
    if Path(left).suffix.lower() == '.txt':
        return read_middlebury(Path(left))
    if right is None:
        raise BadFile(
            f'{left} is the camera_info of one camera; expected a second file for the right camera (--right-info)'
        )
    return read_camera_info(left), read_camera_info(right)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f'{path} cannot be read: {error}') from error


def _entry(path: Path, content: dict[str, Any], key: str, read: Callable[[Any], T]) -> T:
    if key not in content:
        raise BadFile(f"{path} has no '{key}'; its keys are: {', '.join(map(str, content)) or 'none'}")
    try:
        return read(content[key])
    except (TypeError, ValueError, KeyError) as error:
        raise BadFile(f"{path}: '{key}' is {content[key]!r}: {error}") from error


def _positive_int(value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError('expected a positive integer number of pixels')
    return value


def _matrix(count: int | None) -> Callable[[Any], tuple[float, ...]]:
    def read(value: Any) -> tuple[float, ...]:
        numbers = tuple(float(v) for v in value['data'])
        if count is not None and len(numbers) != count:
            raise ValueError(f"expected {count} numbers in 'data', got {len(numbers)}")
        return numbers

    return read


def _bracketed(value: str) -> tuple[float, ...]:
    numbers = tuple(float(v) for v in re.split(r'[\s;,]+', value.strip('[] ')))
    if len(numbers) != 9:
        raise ValueError(f'expected a 3x3 matrix, got {len(numbers)} numbers')
    return numbers
