"""Sequences of images of one moving camera with poses and true depth: recorded ones, by their layout."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.indoor_datasets import find_tum
from depth_ros.evaluation.datasets.sample import Sample, decode_truth, read_array
from depth_ros.files.image_files import read_image_file
from depth_ros.geometry import pose_matrix
from depth_ros.types import AnyArray, Camera, Float32Array, Float64Array, View

_UNITS_PER_METRE = 1000.0
_FRAME_NS = 100_000_000
"""Time between the images of a sequence without stamps."""
_MAX_APART_S = 0.02
_LAYOUTS = """expected one of
  images/, depth/, poses.txt (name and 4x4 pose of the camera, row by row), K.txt
  ScanNet: color/, depth/, pose/ with the same names, intrinsic/intrinsic_color.txt
  TUM RGB-D: rgb.txt, depth.txt, groundtruth.txt"""


@dataclass(frozen=True)
class PosedFrame:
    """One image with its pose and true depth."""

    name: str
    view: View
    truth_m: Float32Array
    """(H, W) metres; NaN = unknown."""
    moving: AnyArray | None = None
    """(H, W) True on objects that move on their own; None if there are none."""


@dataclass(frozen=True)
class PosedSequence:
    """Frames of one moving camera, in the order of time."""

    name: str
    frames: Iterable[Callable[[], PosedFrame]]
    """Functions that load the frames."""
    count: int


def find_sequence(path: Path) -> PosedSequence:
    """Return the sequence at a path; its layout is detected.

    Depth files are 16-bit PNG in millimetres (TUM: 5000 units per metre); 0 is unknown.

    Raises:
        BadFile: the path has no supported layout, or no frame with a finite pose.
    """
    for find in (_named_poses, _scannet, _tum):
        frames = find(path)
        if frames is None:
            continue
        if not frames:
            raise BadFile(f'{path} has no frame with image, depth and a finite pose')
        return PosedSequence(path.resolve().name, frames, len(frames))
    raise BadFile(f'{path} has no supported layout of posed images; {_LAYOUTS}')


def _named_poses(root: Path) -> list[Callable[[], PosedFrame]] | None:
    if not (root / 'poses.txt').exists() or not (root / 'K.txt').exists():
        return None
    k = _matrix(root / 'K.txt')
    frames: list[Callable[[], PosedFrame]] = []
    for line in (root / 'poses.txt').read_text(encoding='utf-8').splitlines():
        name, *numbers = line.split()
        pose = _pose(root / 'poses.txt', numbers)
        image, depth = root / 'images' / f'{name}.png', root / 'depth' / f'{name}.png'
        if np.isfinite(pose).all() and image.exists() and depth.exists():
            frames.append(_loader(name, image, depth, k, pose, len(frames) * _FRAME_NS))
    return frames


def _scannet(root: Path) -> list[Callable[[], PosedFrame]] | None:
    intrinsics = root / 'intrinsic' / 'intrinsic_color.txt'
    if not (root / 'pose').is_dir() or not (root / 'color').is_dir() or not intrinsics.exists():
        return None
    k = _matrix(intrinsics)
    frames: list[Callable[[], PosedFrame]] = []
    for image in sorted((root / 'color').iterdir(), key=lambda each: (len(each.stem), each.stem)):
        pose_file, depth = root / 'pose' / f'{image.stem}.txt', root / 'depth' / f'{image.stem}.png'
        if pose_file.exists() and depth.exists():
            pose = _pose(pose_file, pose_file.read_text(encoding='utf-8').split())
            if np.isfinite(pose).all():  # ScanNet marks lost poses by -inf
                frames.append(_loader(image.stem, image, depth, k, pose, len(frames) * _FRAME_NS))
    return frames


def _tum(root: Path) -> list[Callable[[], PosedFrame]] | None:
    dataset = find_tum(root)
    if dataset is None or not (root / 'groundtruth.txt').exists():
        return None
    lines = (root / 'groundtruth.txt').read_text(encoding='utf-8').splitlines()
    rows = [[float(number) for number in line.split()] for line in lines if line.strip() and line[0] != '#']
    stamps = [row[0] for row in rows]
    frames: list[Callable[[], PosedFrame]] = []
    for name, load in dataset.entries:
        stamp = float(name)
        index = bisect_left(stamps, stamp)
        nearest = min(rows[max(index - 1, 0) : index + 1], key=lambda row: abs(row[0] - stamp), default=None)
        if nearest is not None and abs(nearest[0] - stamp) <= _MAX_APART_S:
            _, x, y, z, qx, qy, qz, qw = nearest
            pose = pose_matrix((x, y, z), (qx, qy, qz, qw)).astype(np.float64)

            frames.append(partial(_tum_frame, name, load, pose, round(stamp * 1e9)))
    return frames


def _tum_frame(name: str, load: Callable[[], Sample], pose: Float64Array, stamp_ns: int) -> PosedFrame:
    sample = load()
    assert sample.calibration is not None, 'find_tum gives every sample a calibration'
    height, width = sample.image.shape[:2]
    camera = _camera(np.array(sample.calibration.k).reshape(3, 3), width, height)
    return PosedFrame(name, View(sample.image, camera, pose, stamp_ns, 'camera'), sample.depth_m())


def _loader(
    name: str, image: Path, depth: Path, k: Float64Array, pose: Float64Array, stamp_ns: int
) -> Callable[[], PosedFrame]:
    def load() -> PosedFrame:
        pixels = read_image_file(image)
        height, width = pixels.shape[:2]
        truth_m = decode_truth(read_array(depth), _UNITS_PER_METRE)
        camera = _camera(k, width, height)
        if truth_m.shape != (height, width):  # ScanNet: the depth image is smaller than the colour image
            rows = (np.arange(height) * truth_m.shape[0]) // height
            columns = (np.arange(width) * truth_m.shape[1]) // width
            truth_m = truth_m[rows[:, None], columns]
        return PosedFrame(name, View(pixels, camera, pose, stamp_ns, 'camera'), truth_m)

    return load


def _camera(k: Float64Array, width: int, height: int) -> Camera:
    return Camera(width, height, float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))


def _matrix(path: Path) -> Float64Array:
    try:
        return np.loadtxt(path, dtype=np.float64)[:3, :3]
    except (ValueError, IndexError) as error:
        raise BadFile(f'{path} cannot be read: {error}; expected a 3x3 or 4x4 matrix') from error


def _pose(path: Path, numbers: Sequence[str]) -> Float64Array:
    try:
        return np.array(numbers, np.float64).reshape(4, 4)
    except ValueError as error:
        raise BadFile(f'{path} cannot be read: {error}; expected the 16 numbers of a 4x4 pose') from error
