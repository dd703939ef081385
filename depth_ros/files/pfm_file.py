"""PFM, the float images of Middlebury and ETH3D.

OpenCV reads them too, and multiplies the values by the scale in the header, which the published files do not mean.
"""

import re
from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.types import Float32Array

_HEADER = re.compile(rb'P([Ff])[ \t]*\r?\n\s*(\d+)\s+(\d+)[ \t]*\r?\n[ \t]*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)[ \t]*\r?\n')
"""Kind, width, height, scale; blanks at the end of a line and CRLF are accepted."""


def read_pfm(path: Path) -> Float32Array:
    """Read a PFM as it is: (H, W), or (H, W, 3) for colour, the top row first.

    The sign of the scale is the byte order; its magnitude says nothing about the values and is ignored.

    Raises:
        BadFile: missing, no PFM, or with less data than the header says.
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
    expected, found = 4 * width * height * channels, len(content) - header.end()
    if not expected or found < expected:
        raise BadFile(
            f'{path} has {found} bytes of data; expected {expected} for {width}x{height}. Is the download complete?'
        )
    order = '<f4' if header[4].startswith(b'-') else '>f4'
    values = np.frombuffer(content, order, width * height * channels, header.end())
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.ascontiguousarray(values.reshape(shape)[::-1], np.float32)
