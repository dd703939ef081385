"""KITTI: the depth selection (``val_selection_cropped``) and the stereo benchmark of 2015 (``training``)."""

import re
from pathlib import Path

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample, decode_truth, read_array
from depth_ros.files.calibration_files import stereo_calibration
from depth_ros.files.image_files import read_image_file
from depth_ros.types import Calibration

_UNITS = 256.0
"""Units per metre of depth, or per pixel of disparity, in the 16-bit PNGs; 0 = unknown."""


def find_kitti_depth(root: Path) -> Dataset | None:
    """Return the images of ``image/`` with ``groundtruth_depth/`` and ``intrinsics/``; None if a folder is missing."""
    images, depths = root / 'image', root / 'groundtruth_depth'
    if not images.is_dir() or not depths.is_dir():
        return None
    entries, without = [], 0
    for image_path in sorted(images.glob('*.png')):
        truth = depths / image_path.name.replace('_sync_image_', '_sync_groundtruth_depth_')
        if truth.exists():
            entries.append(_depth_entry(image_path, truth, root / 'intrinsics' / f'{image_path.stem}.txt'))
        else:
            without += 1
    remarks = (f'{without} images have no ground truth',) if without else ()
    return Dataset('kitti-depth', entries, len(entries), remarks)


def _depth_entry(image_path: Path, truth: Path, intrinsics: Path) -> Entry:
    def load() -> Sample:
        image = read_image_file(image_path)
        calibration = None
        if intrinsics.exists():
            k = _numbers(intrinsics.read_text(), 9, intrinsics)
            calibration, _ = stereo_calibration(image.shape[1], image.shape[0], k, k, 0.0)
        return Sample(image_path.stem, image, calibration, truth_m=decode_truth(read_array(truth), _UNITS))

    return image_path.stem, load


def find_kitti_stereo(root: Path) -> Dataset | None:
    """Return the first pairs (``*_10.png``) of ``image_2/`` and ``image_3/`` with ``disp_occ_0/``; None if missing."""
    root = root / 'training' if (root / 'training').is_dir() else root
    if not (root / 'image_2').is_dir() or not (root / 'disp_occ_0').is_dir():
        return None
    entries, without = [], 0
    for left in sorted((root / 'image_2').glob('*_10.png')):
        if (root / 'disp_occ_0' / left.name).exists():
            entries.append(_stereo_entry(root, left.name))
        else:
            without += 1
    remarks = (f'{without} pairs have no disparity',) if without else ()
    return Dataset('kitti-stereo', entries, len(entries), remarks)


def _stereo_entry(root: Path, name: str) -> Entry:
    def load() -> Sample:
        left, right = read_image_file(root / 'image_2' / name), read_image_file(root / 'image_3' / name)
        path = root / 'calib_cam_to_cam' / f'{name.removesuffix("_10.png")}.txt'
        try:
            lines = dict(re.findall(r'^(P_rect_0\d):\s*(.+)$', path.read_text(), re.MULTILINE))
        except OSError as error:
            raise BadFile(f'{path} cannot be read: {error.strerror}') from error
        p2, p3 = (_numbers(lines.get(key, ''), 12, path) for key in ('P_rect_02', 'P_rect_03'))
        # Camera 2 is not at the origin of the projection matrices; only the distance of the cameras is used.
        p3 = (*p3[:3], p3[3] - p2[3], *p3[4:])
        p2 = (*p2[:3], 0.0, *p2[4:])
        height, width = left.shape[:2]
        infos = [Calibration(width, height, k=(*p[:3], *p[4:7], *p[8:11]), p=p) for p in (p2, p3)]
        truth_px = decode_truth(read_array(root / 'disp_occ_0' / name), _UNITS)
        return Sample(name.removesuffix('.png'), left, infos[0], right, infos[1], truth_px=truth_px)

    return name.removesuffix('.png'), load


def _numbers(text: str, count: int, path: Path) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, text.split()))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise BadFile(f'{path} has {len(numbers)} numbers; expected {count}')
    return numbers
