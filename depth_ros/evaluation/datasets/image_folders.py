"""A folder of image and depth files, matched by name."""

from pathlib import Path

from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample, read_array, scaled
from depth_ros.files.calibration_files import read_camera_info
from depth_ros.files.image_files import read_image_file

_IMAGES = ('image', 'images', 'rgb', 'left')
_DEPTHS = ('depth', 'truth', 'gt')
_PICTURES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
_ARRAYS = ('.png', '.npy', '.pfm', '.tif', '.tiff')


def find_folder(root: Path, units_a_metre: float) -> Dataset | None:
    """Return ``image/`` with ``depth/`` (and ``right/``): files of one name; ``camera_info.yaml`` if it is there.

    16-bit PNGs hold ``units_a_metre``, all others metres. For pairs ``left.yaml`` and ``right.yaml`` hold the
    calibrations.
    """
    images = next((root / name for name in _IMAGES if (root / name).is_dir()), None)
    depths = next((root / name for name in _DEPTHS if (root / name).is_dir()), None)
    if images is None or depths is None:
        return None
    rights = root / 'right'
    pictures, arrays = _by_stem(images, _PICTURES), _by_stem(depths, _ARRAYS)
    both = sorted(pictures.keys() & arrays.keys())
    entries = [_entry(root, stem, pictures[stem], arrays[stem], rights, units_a_metre) for stem in both]
    alone = (len(pictures) - len(both), len(arrays) - len(both))
    remarks = [f'{alone[0]} of {images.name}/ have no file in {depths.name}/'] if alone[0] else []
    remarks += [f'{alone[1]} of {depths.name}/ have no file in {images.name}/'] if alone[1] else []
    return Dataset('folder', entries, len(entries), tuple(remarks))


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes}


def _entry(root: Path, stem: str, picture: Path, array: Path, rights: Path, units_a_metre: float) -> Entry:
    def load() -> Sample:
        raw = read_array(array)
        truth = scaled(raw, units_a_metre if raw.dtype.kind == 'u' else 1.0)
        image = read_image_file(picture)
        if rights.is_dir():
            infos = read_camera_info(root / 'left.yaml'), read_camera_info(root / 'right.yaml')
            return Sample(stem, image, infos[0], read_image_file(rights / picture.name), infos[1], truth)
        info = root / 'camera_info.yaml'
        return Sample(stem, image, read_camera_info(info) if info.exists() else None, truth_m=truth)

    return stem, load
