"""NYU Depth v2 (the labeled .mat file) and TUM RGB-D sequences."""

import re
from bisect import bisect_left
from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample, decode_truth, read_array
from depth_ros.files.calibration_files import stereo_calibration
from depth_ros.files.image_files import read_image_file
from depth_ros.files.install_command import install_command
from depth_ros.types import Calibration

_NYU = (518.857901, 519.469611, 324.582449, 252.736166)
"""fx, fy, cx, cy of the colour camera, from camera_params.m of the toolbox; its pixel coordinates start at 1."""
_TUM = {
    '1': (517.3, 516.5, 318.6, 255.3),
    '2': (520.9, 521.0, 325.1, 249.7),
    '3': (535.4, 539.2, 320.1, 247.6),
    '': (525.0, 525.0, 319.5, 239.5),
}
"""fx, fy, cx, cy of freiburg1 to freiburg3, and the default on the dataset page for other sequences."""
_TUM_UNITS_PER_METRE, _TUM_MAX_APART_S = 5000.0, 0.02


def find_nyu(path: Path) -> Dataset | None:
    """Return the images of ``nyu_depth_v2_labeled.mat`` (HDF5) with depth filled by the toolbox; None if missing."""
    if path.is_dir():
        path = path / 'nyu_depth_v2_labeled.mat'
    if path.suffix != '.mat' or not path.exists():
        return None
    try:
        import h5py
    except ImportError as error:
        raise BadFile(f'{path} requires the library h5py ({error}): {install_command("eval")}') from error
    try:
        with h5py.File(path) as file:
            count = len(file['depths'])
    except (OSError, KeyError) as error:
        raise BadFile(f'{path} cannot be read as NYU Depth v2: {error}') from error

    def entry(index: int) -> Entry:
        def load() -> Sample:
            with h5py.File(path) as file:  # MATLAB arrays are stored in column-major order
                image = np.ascontiguousarray(np.transpose(file['images'][index], (2, 1, 0)))
                truth = np.ascontiguousarray(file['depths'][index].T)
            return Sample(f'{index:04d}', image, _calibration(image.shape, _NYU), truth_m=decode_truth(truth, 1.0))

        return f'{index:04d}', load

    return Dataset('nyuv2', [entry(i) for i in range(count)], count, crop='nyu')


def find_tum(root: Path) -> Dataset | None:
    """Return the images of ``rgb.txt`` with the nearest of ``depth.txt``, at most 20 ms apart; None if missing."""
    if not (root / 'rgb.txt').exists() or not (root / 'depth.txt').exists():
        return None
    depths = _read_list(root / 'depth.txt')
    stamps = [stamp for stamp, _ in depths]
    number = re.search(r'freiburg(\d)', root.resolve().name)
    intrinsics = _TUM.get(number.group(1) if number else '', _TUM[''])
    entries, without = [], 0
    for stamp, name in _read_list(root / 'rgb.txt'):
        index = bisect_left(stamps, stamp)
        nearest = min(depths[max(index - 1, 0) : index + 1], key=lambda each: abs(each[0] - stamp), default=None)
        if nearest is None or abs(nearest[0] - stamp) > _TUM_MAX_APART_S:
            without += 1
        else:
            entries.append(_tum_entry(root, name, nearest[1], intrinsics))
    remarks = (f'{without} images have no depth within {_TUM_MAX_APART_S * 1000:.0f} ms',) if without else ()
    return Dataset('tum', entries, len(entries), remarks)


def _tum_entry(root: Path, name: str, depth: str, intrinsics: tuple[float, ...]) -> Entry:
    def load() -> Sample:
        image = read_image_file(root / name)
        truth = decode_truth(read_array(root / depth), _TUM_UNITS_PER_METRE)
        return Sample(Path(name).stem, image, _calibration(image.shape, intrinsics), truth_m=truth)

    return Path(name).stem, load


def _read_list(path: Path) -> list[tuple[float, str]]:
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith('#')]
        return sorted((float(stamp), name) for stamp, name, *_ in lines)
    except ValueError as error:
        raise BadFile(f'{path} cannot be read: {error}; expected lines with stamp and file name') from error


def _calibration(shape: tuple[int, ...], intrinsics: tuple[float, ...]) -> Calibration:
    fx, fy, cx, cy = intrinsics
    k = (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)
    return stereo_calibration(shape[1], shape[0], k, k, 0.0)[0]
