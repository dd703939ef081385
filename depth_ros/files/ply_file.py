"""Writing of point clouds as binary PLY, the format of MeshLab, CloudCompare and Open3D."""

from pathlib import Path

import numpy as np

from depth_ros.errors import BadFile
from depth_ros.types import Cloud


def write_ply(path: Path | str, cloud: Cloud) -> int:
    """Write the finite points of a cloud, with colour if it has any; return the number of points.

    Raises:
        BadFile: the file cannot be written.
    """
    points = cloud.points.reshape(-1, cloud.points.shape[-1])
    points = points[np.isfinite(points[:, 2])]
    names = ['x', 'y', 'z']
    layout = [(name, '<f4') for name in names]
    properties = [f'property float {name}' for name in names]
    if points.shape[1] == 4:
        layout += [(name, 'u1') for name in ('red', 'green', 'blue')]
        properties += [f'property uchar {name}' for name in ('red', 'green', 'blue')]
    vertices = np.zeros(len(points), dtype=layout)
    for column, name in enumerate(names):
        vertices[name] = points[:, column]
    if points.shape[1] == 4:
        packed = np.ascontiguousarray(points[:, 3]).view(np.uint32)
        for name, shift in (('red', 16), ('green', 8), ('blue', 0)):
            vertices[name] = (packed >> shift) & 255
    header = '\n'.join(
        ('ply', 'format binary_little_endian 1.0', 'comment metres; x right, y down, z forward',
         f'element vertex {len(points)}', *properties, 'end_header', '')
    )  # fmt: skip
    try:
        Path(path).write_bytes(header.encode('ascii') + vertices.tobytes())
    except OSError as error:
        raise BadFile(f'{path} cannot be written: {error.strerror}') from error
    return len(points)
