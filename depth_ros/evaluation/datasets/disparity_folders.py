"""Folders that contain a rectified pair and its true disparity, without a calibration."""

import json
import re
from pathlib import Path

from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample, decode_truth, read_array
from depth_ros.files.image_files import IMAGE_SUFFIXES, read_image_file

_TRUTH = re.compile(r'disp(?:arity)?(?:_x(\d+))?\.(?:png|pfm|npy|tiff?)', re.IGNORECASE)
_RANGE_FILE = 'meta.json'


def find_disparity_folders(root: Path) -> Dataset | None:
    """Return the pairs of the folders at or below ``root`` that have this layout; None if there are none.

    A folder contains the images ``left`` and ``right``, and the disparity of the left image as ``disparity`` or
    ``disp`` (PNG, PFM, TIFF or NPY) in pixels; ``disparity_x256.png`` has 256 units per pixel. 0, negative and infinite
    values are unknown. Every image ``right_NAME`` makes another pair with the same left image and disparity.
    ``meta.json`` may contain ``max_disparity``, the number of disparities to search.
    """
    folders = sorted({path.parent for path in root.rglob('left.*') if path.suffix.lower() in IMAGE_SUFFIXES})
    entries = [entry for folder in folders for entry in _entries(folder, root)]
    return Dataset('disparity-folder', entries, len(entries)) if entries else None


def _entries(folder: Path, root: Path) -> list[Entry]:
    paths = sorted(folder.iterdir())
    truths = [(path, match) for path in paths if (match := _TRUTH.fullmatch(path.name))]
    images = {path.stem: path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES}
    if not truths:
        return []
    truth, match = truths[0]
    name = str(folder.relative_to(root)) if folder != root else folder.resolve().name
    rights = [stem for stem in images if stem == 'right' or stem.startswith('right_')]
    return [
        _entry(f'{name}{stem.removeprefix("right").replace("_", ":", 1)}', images['left'], images[stem], truth,
               float(match[1] or 1))
        for stem in rights
    ]  # fmt: skip


def _entry(name: str, left: Path, right: Path, truth: Path, units: float) -> Entry:
    def load() -> Sample:
        return Sample(
            name,
            read_image_file(left),
            right=read_image_file(right),
            truth_px=decode_truth(read_array(truth), units),
            max_disparity=_max_disparity(left.parent / _RANGE_FILE),
        )

    return name, load


def _max_disparity(path: Path) -> int | None:
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding='utf-8')).get('max_disparity')
    except (OSError, ValueError, AttributeError) as error:
        raise BadFile(f'{path} cannot be read: {error}; expected {{"max_disparity": NUMBER}}') from error
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise BadFile(f'{path}: max_disparity is {value!r}; expected a positive whole number of pixels')
    return value
