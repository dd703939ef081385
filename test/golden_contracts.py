"""The golden values of the model contracts, and the formulas of their images and raw outputs.

The values in ``networks/golden/contracts.json`` were computed from the published code that each contract names under
``sources``, by another implementation that uses neither this package nor an image library for resampling. The format
is described in ``networks/golden/README.md``.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np

from depth_ros.types import Camera

GOLDEN = json.loads((Path(__file__).parent / 'networks/golden/contracts.json').read_text(encoding='utf-8'))
PICTURES = GOLDEN['pictures']
CONTRACTS = GOLDEN['contracts']


def golden_sizes(contract):
    """Return rows of w, h, W, H, left, top, inner_w, inner_h."""
    return GOLDEN['sizes'][contract['sizes']]


def golden_case(contract, picture):
    """Return the expected input and output of a contract for an image."""
    inputs, outputs = contract['tests'][picture]
    return GOLDEN['inputs'][inputs], GOLDEN['outputs'][outputs]


def golden_positions(entry):
    """Return the positions at which an entry has values, one row for each axis."""
    return np.array(GOLDEN['positions'][entry['at']]).T


def picture(name, shift=0.0):
    """Return the image of a name, (h, w, 3) uint8 RGB; the right image of a pair is shifted."""
    w, h, fine = (PICTURES[name][key] for key in ('width', 'height', 'fine'))
    u, v = (np.arange(w) + 0.5 + shift)[None, :, None], (np.arange(h) + 0.5)[:, None, None]
    c = np.arange(3.0)
    x, y = u / w, v / h
    p = 127.5 + 58 * np.sin(2 * np.pi * ((1.3 + 0.4 * c) * x + (0.7 - 0.2 * c) * y) + 0.9 * c)
    p += 32 * np.cos(2 * np.pi * ((0.6 + 0.3 * c) * x - (1.1 + 0.2 * c) * y) - 0.5 * c)
    p += fine * np.sin(2 * np.pi * (u / (9 + c) + v / (11 - c)) + 1.7 * c)
    return np.floor(p + 0.5).astype(np.uint8)


@cache
def picture_pair(name):
    return picture(name), picture(name, GOLDEN['right_shift_px'])


def golden_camera(name):
    p = PICTURES[name]
    return Camera(p['width'], p['height'], p['fx'], p['fy'], 0.52 * p['width'], 0.47 * p['height'])


def raw_output(raw, network_size, camera):
    """Return the raw output of an entry, of the shape that it declares.

    Args:
        raw: Entry of ``output.raw``.
        network_size: Width and height of the network's input.
        camera: Intrinsics of the network's input.
    """
    if 'value' in raw:
        return np.full(raw['shape'], raw['value'], np.float32)
    width, height = network_size
    i, j = np.arange(width)[None, :], np.arange(height)[:, None]
    x, y = (i + 0.5) / width, (j + 0.5) / height
    g = 1.1 + 0.3 * np.sin(2 * np.pi * (0.9 * x + 0.15)) + 0.2 * np.cos(2 * np.pi * (0.8 * y - 0.1)) + 0.1 * x
    z = raw.get('factor', 1.0) * g
    field = {
        'base': lambda: z,
        'sky': lambda: np.maximum(0, 0.8 - 2 * y + 0.1 * np.sin(2 * np.pi * x)),
        'confidence': lambda: 0.6 + 0.38 * np.sin(2 * np.pi * (1.1 * x + 0.3)) * np.cos(1.4 * np.pi * y),
        'valid_prob': lambda: 0.55 + 0.42 * np.sin(2 * np.pi * (0.8 * x + 0.1)) * np.cos(2 * np.pi * (0.6 * y + 0.05)),
        'points': lambda: np.stack([0.5 * g, -0.3 * g, z]),
        'points_scene': lambda: np.stack(
            [(i - camera.cx) * z / camera.fx, (j - camera.cy) * z / camera.fy, z - 0.35], -1
        ),
    }[raw['formula']]()
    shape = raw['shape']
    if raw['formula'] == 'base' and 2 in shape:
        field = np.stack([field, 0.1 * field], shape.index(2) - 1)
    return field.reshape(shape).astype(np.float32)
