"""Reading of PFM files, the float images of Middlebury and ETH3D.

cv2.imread scales the values by the scale in the header, which is wrong for the published files.
"""

import re
from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.types import Float32Array

_HEADER = re.compile(rb'P([Ff])[ \t]*\r?\n\s*(\d+)\s+(\d+)[ \t]*\r?\n[ \t]*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)[ \t]*\r?\n')
"""Kind, width, height, scale; spaces at the end of a line and CRLF are accepted."""


def read_pfm(path: Path) -> Float32Array:
    """Read a PFM without scaling: (H, W), or (H, W, 3) for colour, the top row first.

    The sign of the scale gives the byte order; its magnitude is ignored.

    Raises:
        BadFile: the file is missing, not a PFM, or shorter than its header declares.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(f'{path} cannot be read: {error.strerror}') from error
    header = _HEADER.match(content)
    if header is None:
        raise BadFile(
            f'{path} begins with {content[:20]!r}; expected the header of a PFM: three lines with Pf, width and '
            'height, scale'
        )
    width, height, channels = int(header[2]), int(header[3]), 3 if header[1] == b'F' else 1
    expected, size = 4 * width * height * channels, len(content) - header.end()
    if not expected or size < expected:
        raise BadFile(
            f'{path} has {size} bytes of data; expected {expected} for {width}x{height}. '
            'Check that the download is complete'
        )
    order = '<f4' if header[4].startswith(b'-') else '>f4'
    values = np.frombuffer(content, order, width * height * channels, header.end())
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.ascontiguousarray(values.reshape(shape)[::-1], np.float32)
