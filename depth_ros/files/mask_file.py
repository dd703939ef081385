"""The mask image of ``filter.mask_file``, which selects the pixels whose depth is used."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.files.image_files import read_image_file
from depth_ros.types import UInt8Array

_CHECK_PERIOD_S = 1.0
_Version = tuple[int, int] | None
"""Modification time in nanoseconds and size; None = the file cannot be accessed."""


class MaskFile:
    """Reads a mask, and reads it again when the file changes; changes are checked once per second.

    Args:
        clock: Returns a time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._checked_s = -_CHECK_PERIOD_S
        self._path = ''
        self._version: _Version = None
        self._mask: UInt8Array | None = None
        self._error: BadFile | None = None

    def current(self, path: str) -> UInt8Array | None:
        """Return the mask as (H, W), 0 where depth is to be removed; None if the path is empty.

        Raises:
            BadFile: the file is missing or not an image; it is read again after it changes.
        """
        if not path:
            return None
        if path != self._path or self._clock() - self._checked_s >= _CHECK_PERIOD_S:
            self._update(path)
        if self._error is not None:
            raise BadFile(str(self._error))
        return self._mask

    def _update(self, path: str) -> None:
        self._checked_s = self._clock()
        version = _version(Path(path))
        if (path, version) == (self._path, self._version):
            return
        self._path, self._version, self._mask, self._error = path, version, None, None
        try:
            image = read_image_file(Path(path))
            self._mask = image if image.ndim == 2 else np.asarray(image.max(axis=2))
        except BadFile as error:
            self._error = BadFile(f'filter.mask_file: {error}. Frames are not used until the file is readable')


def _version(path: Path) -> _Version:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
