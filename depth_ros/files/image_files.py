"""Reading and writing of image files."""

from pathlib import Path

import cv2
import numpy as np

from depth_ros.errors import BadFile, BadImage
from depth_ros.stages.decode_image import decode_file
from depth_ros.types import AnyArray, UInt8Array

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.pgm', '.ppm')


def read_image_file(path: Path | str) -> UInt8Array:
    """Read an image as (H, W) grey or (H, W, 3) RGB.

    Raises:
        BadFile: the file is missing, unreadable, or not an image.
    """
    path = Path(path)
    try:
        return decode_file(path.read_bytes())
    except OSError as error:
        raise BadFile(f'{path} cannot be read: {error.strerror}') from error
    except BadImage as error:
        expected = ', '.join(suffix.lstrip('.') for suffix in IMAGE_SUFFIXES)
        raise BadFile(f'{path} {error}. Expected an image file ({expected})') from error


def list_image_files(path: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name, or the file itself.

    Raises:
        BadFile: the folder contains no images.
    """
    if not path.is_dir():
        return [path]
    images = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise BadFile(f'{path} contains no images; expected at least one file ending in {", ".join(IMAGE_SUFFIXES)}')
    return images


def write_image_file(path: Path | str, image: AnyArray) -> None:
    """Write (H, W) grey or 16-bit, or (H, W, 3) RGB, in the format of the file name's suffix.

    Raises:
        BadFile: the file cannot be written.
    """
    path = Path(path)
    encoded = cv2.imencode(path.suffix, image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    try:
        path.write_bytes(np.asarray(encoded).tobytes())
    except OSError as error:
        raise BadFile(f'{path} cannot be written: {error.strerror}') from error
