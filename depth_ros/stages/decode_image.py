"""Decoding of image messages. Nothing is allocated before the header has been checked against the data."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from depth_ros.errors import BadImage
from depth_ros.types import AnyArray, UInt8Array

Buffer = bytes | bytearray | memoryview | AnyArray


@dataclass(frozen=True)
class _Encoding:
    channels: int
    bytes_per_channel: int
    to_image: Callable[[AnyArray], AnyArray]
    """(H, W, C) samples → (H, W) grey or (H, W, 3) RGB, same depth."""
    block: tuple[int, int] = (1, 1)
    """Width and height must be multiples of this."""
    chroma: Literal['none', 'interleaved', 'planar'] = 'none'
    """4:2:0: rows of luminance, then half as many rows of U and V, as one plane of pairs or as two planes."""


def _grey(samples: AnyArray) -> AnyArray:
    return samples[..., 0]


def _rgb(samples: AnyArray) -> AnyArray:
    return samples


def _converted(code: int) -> Callable[[AnyArray], AnyArray]:
    def convert(samples: AnyArray) -> AnyArray:
        single = samples.shape[2] == 1
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(samples[..., 0] if single else samples), code))

    return convert


def _table() -> dict[str, _Encoding]:
    table = {}
    for bits, size in (('8', 1), ('16', 2)):
        table[f'mono{bits}'] = table[f'{bits}UC1'] = _Encoding(1, size, _grey)
        table[f'rgb{bits}'] = _Encoding(3, size, _rgb)
        table[f'bgr{bits}'] = table[f'{bits}UC3'] = _Encoding(3, size, _converted(cv2.COLOR_BGR2RGB))
        table[f'rgba{bits}'] = _Encoding(4, size, _converted(cv2.COLOR_RGBA2RGB))
        table[f'bgra{bits}'] = table[f'{bits}UC4'] = _Encoding(4, size, _converted(cv2.COLOR_BGRA2RGB))
        # OpenCV names a Bayer pattern after its second row and column, ROS after the first.
        for ros_name, code in (
            ('rggb', cv2.COLOR_BayerBG2RGB),
            ('bggr', cv2.COLOR_BayerRG2RGB),
            ('gbrg', cv2.COLOR_BayerGR2RGB),
            ('grbg', cv2.COLOR_BayerGB2RGB),
        ):
            table[f'bayer_{ros_name}{bits}'] = _Encoding(1, size, _converted(code), block=(2, 2))
    for name, code in (
        ('yuv422', cv2.COLOR_YUV2RGB_UYVY),
        ('uyvy', cv2.COLOR_YUV2RGB_UYVY),
        ('yuv422_yuy2', cv2.COLOR_YUV2RGB_YUY2),
        ('yuyv', cv2.COLOR_YUV2RGB_YUY2),
    ):
        table[name] = _Encoding(2, 1, _converted(code), block=(2, 1))
    for name, code in (('nv12', cv2.COLOR_YUV2RGB_NV12), ('nv21', cv2.COLOR_YUV2RGB_NV21)):
        table[name] = _Encoding(1, 1, _converted(code), block=(2, 2), chroma='interleaved')
    # sensor_msgs has no name for I420; these are the ones that drivers use.
    for name in ('i420', 'yuv420', 'yuv420p', 'YUV420'):
        table[name] = _Encoding(1, 1, _converted(cv2.COLOR_YUV2RGB_I420), block=(2, 2), chroma='planar')
    return table


_ENCODINGS = _table()
SUPPORTED_ENCODINGS = tuple(_ENCODINGS)


def decode_image(
    encoding: str, width: int, height: int, step: int, data: Buffer, is_bigendian: bool = False
) -> UInt8Array:
    """Decode the fields of a sensor_msgs/Image.

    ``8UC3`` and ``8UC4`` are read as BGR(A), OpenCV's order. 16-bit images are reduced to their upper eight bits.
    Bytes after the last row are ignored. YUV is converted with the coefficients of BT.601 for limited range.

    4:2:0 images have the layout of V4L2: luminance, then ``height / 2`` rows of ``step`` bytes with pairs (``nv12``:
    U V, ``nv21``: V U), or U and then V with ``height / 2`` rows of ``step / 2`` bytes each (I420, named ``i420``,
    ``yuv420``, ``yuv420p`` or ``YUV420``).

    Args:
        step: Bytes from one row to the next, padding included. In 4:2:0 images, of the luminance; or ``width * 3 / 2``
            with ``step * height`` bytes of data, for planes without padding.
        data: At least ``step * height`` bytes; 4:2:0, ``step * height * 3 / 2``.

    Returns:
        (H, W) grey or (H, W, 3) RGB. Read-only; may share the memory of ``data``.

    Raises:
        BadImage: the encoding is not supported, or the header does not match the data.
    """
    layout = _ENCODINGS.get(encoding)
    if layout is None:
        raise BadImage(unsupported_encoding(encoding))
    rows = _rows(encoding, layout, width, height, step, data)
    if layout.bytes_per_channel == 2:
        rows = np.ascontiguousarray(rows).view('>u2' if is_bigendian else '<u2')
        if is_bigendian != (sys.byteorder == 'big'):
            rows = rows.astype(np.uint16)
    image = layout.to_image(rows.reshape(-1, width, layout.channels))
    if layout.bytes_per_channel == 2:
        image = (image >> 8).astype(np.uint8)
    image.flags.writeable = False
    return image


def unsupported_encoding(encoding: str) -> str:
    """Return the text of an error for an encoding that is not supported."""
    return (
        f"image encoding '{encoding}' is not supported; supported: {', '.join(SUPPORTED_ENCODINGS)}. "
        'Set the camera driver or an image_proc node to one of these'
    )


def _rows(encoding: str, layout: _Encoding, width: int, height: int, step: int, data: Buffer) -> UInt8Array:
    """Return the data as (height, bytes per row) without padding, after checking the header."""
    row_bytes = width * layout.channels * layout.bytes_per_channel
    described = f"image of {width}x{height} '{encoding}' with step {step} and {_size(data)} bytes of data"
    if width <= 0 or height <= 0:
        raise BadImage(f'{described} is empty; expected at least 1x1. Check the camera driver')
    if width % layout.block[0] or height % layout.block[1]:
        raise BadImage(
            f'{described}: expected a size that is a multiple of '
            f'{layout.block[0]}x{layout.block[1]}, which this encoding requires. Check the camera driver'
        )
    if step < row_bytes:
        raise BadImage(
            f'{described}: expected a step of at least {row_bytes}, the bytes of one row. Check the camera driver'
        )
    if layout.chroma != 'none':
        return _rows_of_planes(described, layout, width, height, step, data)
    if _size(data) < step * height:
        raise BadImage(
            f'{described}: expected at least step * height = {step * height} bytes. The message is truncated'
        )
    flat = np.frombuffer(data, dtype=np.uint8, count=step * height)
    return flat.reshape(height, step)[:, :row_bytes]


def _rows_of_planes(described: str, layout: _Encoding, width: int, height: int, step: int, data: Buffer) -> UInt8Array:
    """Return a 4:2:0 image as (height * 3 / 2, width), the form that OpenCV converts."""
    if step == width * 3 // 2 and _size(data) == step * height:
        step = width  # The driver counts the chrominance in the step (depthai-ros).
    needed = step * height * 3 // 2
    if layout.chroma == 'planar' and step % 2:
        raise BadImage(
            f'{described}: expected an even step, because rows of U and V have half of it. Check the camera driver'
        )
    if _size(data) < needed:
        raise BadImage(
            f'{described}: expected at least step * height * 3 / 2 = {needed} bytes. The message is truncated'
        )
    flat = np.frombuffer(data, dtype=np.uint8, count=needed)
    if layout.chroma == 'interleaved' or step == width:
        return flat.reshape(-1, step)[:, :width]
    luminance = flat[: step * height].reshape(height, step)[:, :width]
    chrominance = flat[step * height :].reshape(height, step // 2)[:, : width // 2]
    return np.concatenate((luminance.ravel(), chrominance.ravel())).reshape(-1, width)


def _size(data: Buffer) -> int:
    return int(np.frombuffer(data, np.uint8).size) if len(data) else 0


_IMAGE_FORMAT = re.compile(r'\b(jpe?g|png|webp|tiff?|bmp)\b', re.IGNORECASE)
_ADVICE = 'Publish jpeg or png (image_transport compressed)'


def decode_compressed(image_format: str, data: Buffer) -> UInt8Array:
    """Decode the fields of a sensor_msgs/CompressedImage.

    Returns:
        (H, W) grey or (H, W, 3) RGB; 16-bit images are reduced to their upper eight bits.

    Raises:
        BadImage: the stream is empty or damaged, or the format is not that of a camera image.
    """
    if 'compressedDepth' in image_format or not _IMAGE_FORMAT.search(image_format):
        raise BadImage(f"compressed image format '{image_format}' is not that of a camera image. {_ADVICE}")
    described = f"compressed image ('{image_format}', {_size(data)} bytes)"
    try:
        return decode_file(data)
    except BadImage as error:
        raise BadImage(f'{described} {error}. {_ADVICE}') from error


def decode_file(data: Buffer) -> UInt8Array:
    """Decode the bytes of an image file, in any format that OpenCV reads.

    Returns:
        (H, W) grey or (H, W, 3) RGB; 16-bit images are reduced to their upper eight bits; a PGM or PPM with 10 or
        12 bits, to the upper eight of these.

    Raises:
        BadImage: empty, damaged, or not an image; the message starts with a verb, for a sentence that names the file.
    """
    if _size(data) == 0:
        raise BadImage('is empty')
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadImage(f'cannot be decoded: {error.err}') from error
    if image is None:
        raise BadImage('cannot be decoded: it is damaged, truncated, or not an image')
    if image.dtype == np.uint16:
        image = (image >> _bits(data) - 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise BadImage(f'contains {image.dtype} samples; expected 8 or 16 bits')
    return _as_rgb(image)


_PNM_HEADER = re.compile(rb'P[2356](?:\s+(?:#[^\n]*\n\s*)*(\d+)){3}\s')


def _bits(data: Buffer) -> int:
    """Return the bits per sample of a 16-bit image: 16, or as many as the maximum value of a PGM or PPM requires."""
    header = _PNM_HEADER.match(bytes(data[:1024]))
    return max(int(header[1]).bit_length(), 8) if header else 16


def _as_rgb(image: AnyArray) -> UInt8Array:
    """Convert an image read by OpenCV (grey, BGR, BGRA) to grey or RGB."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGB))


def as_grey(image: UInt8Array) -> UInt8Array:
    """Return the luminance of an image; a grey image is returned unchanged."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
