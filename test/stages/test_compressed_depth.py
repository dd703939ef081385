"""The data of compressedDepth, read by a decoder that follows the definition of compressed_depth_image_transport."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from depth_ros.stages.depth_encoding import COMPRESSED_DEPTH_FORMAT, compressed_depth

HEADER = struct.Struct('<iff')  # ConfigHeader { enum { UNDEFINED = -1, INV_DEPTH } format; float depthParam[2]; }
INV_DEPTH = 0


def millimetres(image_format, data):
    """Decode as image_transport does: encoding before the semicolon, codec after it, then header and PNG."""
    encoding, codec = image_format.split(';')
    assert (encoding, codec) == ('16UC1', ' compressedDepth png')
    kind, *quantization = HEADER.unpack_from(bytes(data))
    assert kind == INV_DEPTH and quantization == [0, 0]  # quantization is for 32FC1 only
    png = bytes(data)[HEADER.size :]
    assert png[:8] == b'\x89PNG\r\n\x1a\n'
    width, height, bits, color_type = struct.unpack_from('>IIBB', png, 16)  # IHDR
    assert (bits, color_type) == (16, 0)  # grey
    values = np.asarray(Image.open(io.BytesIO(png))).astype(np.uint16)
    assert values.shape == (height, width)
    return values


def test_compressed_depth_is_lossless_in_millimetres():
    expected = np.random.default_rng(0).integers(0, 65536, (48, 65)).astype(np.uint16)
    depth = np.where(expected, expected / np.float32(1000), np.nan).astype(np.float32)
    np.testing.assert_array_equal(millimetres(COMPRESSED_DEPTH_FORMAT, compressed_depth(depth)), expected)


@pytest.mark.parametrize('depth', [np.nan, np.inf, -np.inf, 0.0, -1.0, 66.0])
def test_depth_without_a_value_in_millimetres_is_0_in_compressed_depth(depth):
    data = compressed_depth(np.array([[1.5, depth]], np.float32))
    assert millimetres(COMPRESSED_DEPTH_FORMAT, data).tolist() == [[1500, 0]]
