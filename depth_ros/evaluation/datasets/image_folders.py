"""Folders of image and depth files, matched by name."""

from pathlib import Path

from depth_ros.evaluation.datasets.sample import Dataset, Entry, Sample, decode_truth, read_array
from depth_ros.files.calibration_files import read_camera_info
from depth_ros.files.image_files import read_image_file

_IMAGE_FOLDERS = ('image', 'images', 'rgb', 'left')
_DEPTH_FOLDERS = ('depth', 'truth', 'gt')
_IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
_DEPTH_SUFFIXES = ('.png', '.npy', '.pfm', '.tif', '.tiff')


def find_image_folder(root: Path, units_per_metre: float) -> Dataset | None:
    """Return the images of ``image/`` with files of the same name in ``depth/``; None if a folder is missing.

    ``camera_info.yaml`` is the calibration, if it exists. With a folder ``right/`` the samples are stereo pairs, whose
    calibrations are ``left.yaml`` and ``right.yaml``. Depth files of unsigned integers have ``units_per_metre``, others
    contain metres.
    """
    images = next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), None)
    depths = next((root / name for name in _DEPTH_FOLDERS if (root / name).is_dir()), None)
    if images is None or depths is None:
        return None
    rights = root / 'right'
    image_paths, depth_paths = _by_stem(images, _IMAGE_SUFFIXES), _by_stem(depths, _DEPTH_SUFFIXES)
    both = sorted(image_paths.keys() & depth_paths.keys())
    entries = [_entry(root, stem, image_paths[stem], depth_paths[stem], rights, units_per_metre) for stem in both]
    unmatched = (len(image_paths) - len(both), len(depth_paths) - len(both))
    remarks = [f'{unmatched[0]} files of {images.name}/ have no match in {depths.name}/'] if unmatched[0] else []
    remarks += [f'{unmatched[1]} files of {depths.name}/ have no match in {images.name}/'] if unmatched[1] else []
    return Dataset('folder', entries, len(entries), tuple(remarks))


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes}


def _entry(root: Path, stem: str, image_path: Path, depth_path: Path, rights: Path, units_per_metre: float) -> Entry:
    def load() -> Sample:
        raw = read_array(depth_path)
        truth = decode_truth(raw, units_per_metre if raw.dtype.kind == 'u' else 1.0)
        image = read_image_file(image_path)
        if rights.is_dir():
            infos = read_camera_info(root / 'left.yaml'), read_camera_info(root / 'right.yaml')
            return Sample(stem, image, infos[0], read_image_file(rights / image_path.name), infos[1], truth)
        info = root / 'camera_info.yaml'
        return Sample(stem, image, read_camera_info(info) if info.exists() else None, truth_m=truth)

    return stem, load
