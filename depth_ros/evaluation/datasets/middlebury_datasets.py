"""Middlebury 2014/2021 and ETH3D two-view: scenes with im0.png, im1.png, calib.txt and disp0.pfm (or disp0GT.pfm)."""

from pathlib import Path

import numpy as np

from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample, decode_truth, read_array
from depth_ros.files.calibration_files import read_middlebury
from depth_ros.files.image_files import read_image_file

_TRUTHS = ('disp0GT.pfm', 'disp0.pfm')
_MASK = 'mask0nocc.png'
_VISIBLE = 255
"""Mask value of pixels visible in both images; 128 = occluded in the right image."""


def find_middlebury(root: Path, visible_only: bool = True) -> Dataset | None:
    """Return the scenes at or below a folder; None if there are none.

    Args:
        root: The folder.
        visible_only: Whether the truth is masked to the pixels visible in both images, if the scene has a mask.
    """
    folders = [path.parent for path in sorted(root.rglob('calib.txt')) if (path.parent / 'im0.png').exists()]
    if not folders:
        return None
    entries, without = [], 0
    for folder in folders:
        truth = next((folder / name for name in _TRUTHS if (folder / name).exists()), None)
        if truth is None:
            without += 1
        else:
            name = str(folder.relative_to(root)) if folder != root else folder.name
            entries.append(_entry(name, folder, truth, visible_only))
    remarks = (f'{without} scenes have no {" or ".join(_TRUTHS)}',) if without else ()
    return Dataset('middlebury', entries, len(entries), remarks)


def _entry(name: str, folder: Path, truth: Path, visible_only: bool) -> Entry:
    def load() -> Sample:
        left, right = (read_image_file(folder / f'im{i}.png') for i in (0, 1))
        calibrations = read_middlebury(folder / 'calib.txt')
        truth_px = decode_truth(read_array(truth), 1.0)
        if visible_only and (folder / _MASK).exists():
            truth_px = np.where(read_array(folder / _MASK) == _VISIBLE, truth_px, np.float32(np.nan))
        return Sample(name, left, calibrations[0], right, calibrations[1], truth_px=truth_px)

    return name, load
