"""Family A of the fault list: images."""

import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_ros.errors import BadImage
from depth_ros.stages.decode_image import SUPPORTED_ENCODINGS, as_grey, decode_compressed, decode_image

RGB = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
GREY = np.ascontiguousarray(RGB[..., 0])


def decode(pixels, encoding, **header):
    height, width = pixels.shape[:2]
    fields = {'width': width, 'height': height, 'step': pixels.nbytes // height, 'data': pixels.tobytes(), **header}
    return decode_image(encoding, **fields)


@pytest.mark.parametrize(
    ('encoding', 'pixels', 'expected'),
    [
        ('mono8', GREY, GREY),
        ('8UC1', GREY, GREY),
        ('rgb8', RGB, RGB),
        ('bgr8', RGB[..., ::-1], RGB),
        ('8UC3', RGB[..., ::-1], RGB),  # OpenCV's order
        ('rgba8', np.dstack([RGB, GREY]), RGB),
        ('bgra8', np.dstack([RGB[..., ::-1], GREY]), RGB),
        ('mono16', GREY.astype('<u2') * 257, GREY),
        ('rgb16', RGB.astype('<u2') * 257, RGB),
        ('bgr16', RGB[..., ::-1].astype('<u2') * 257, RGB),
        ('rgba16', np.dstack([RGB, GREY]).astype('<u2') * 257, RGB),
    ],
)
def test_a1_supported_encodings_are_exact(encoding, pixels, expected):
    np.testing.assert_array_equal(decode(np.ascontiguousarray(pixels), encoding), expected)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', ['8', '16'])
def test_a1_bayer_patterns_give_the_colour_of_the_scene(pattern, bits):
    color = {'r': 200, 'g': 100, 'b': 50}
    mosaic = np.zeros((16, 16), np.uint8)
    for i, letter in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = color[letter]
    pixels = mosaic if bits == '8' else mosaic.astype('<u2') * 257
    rgb = decode(pixels, f'bayer_{pattern}{bits}')
    assert rgb.shape == (16, 16, 3)
    np.testing.assert_array_equal(rgb[8, 8], [200, 100, 50])


@pytest.mark.parametrize(
    ('encoding', 'order'), [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuyv', 'yuyv'), ('yuv422_yuy2', 'yuyv')]
)
def test_a1_yuv422_is_decoded(encoding, order):
    sample = {'y': 150, 'u': 128, 'v': 128}
    u, v, first = sample['u'], sample['v'], sample['y']
    pixels = np.array([u, first, v, first] if order == 'uyvy' else [first, u, first, v], np.uint8)
    rgb = decode_image(encoding, 4, 2, 8, np.tile(pixels, 4).tobytes())
    assert rgb.shape == (2, 4, 3)
    assert np.ptp(rgb) == 0  # u = v = 128 has no colour
    assert abs(int(rgb[0, 0, 0]) - 156) <= 1  # BT.601: 1.164 * (150 - 16)


CHROMA_420 = {'nv12': 'UV', 'nv21': 'VU'}  # order within a pair; the others have two planes, U first
ENCODINGS_420 = ('nv12', 'nv21', 'i420', 'yuv420', 'yuv420p', 'YUV420')


def planes_420(encoding, y, u, v, padding=0):
    """The bytes as V4L2 lays them out: y (H, W), u and v (H / 2, W / 2)."""

    def rows(plane, bytes_of_padding):
        return np.pad(plane, ((0, 0), (0, bytes_of_padding)), constant_values=77).tobytes()

    if encoding in CHROMA_420:
        pairs = np.dstack([{'U': u, 'V': v}[name] for name in CHROMA_420[encoding]])
        return rows(y, padding) + rows(pairs.reshape(len(u), -1), padding)
    return rows(y, padding) + rows(u, padding // 2) + rows(v, padding // 2)


def bt601(y, u, v):
    """RGB by ITU-R BT.601 with limited range, from a formula of the recommendation."""
    y, u, v = (np.asarray(plane, float) for plane in (y, u, v))
    u, v = (np.kron(plane - 128, np.ones((2, 2))) / 224 for plane in (u, v))
    luma = (y - 16) / 219
    blue, red = luma + 1.772 * u, luma + 1.402 * v
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.dstack([red, green, blue]) * 255, 0, 255)


@pytest.mark.parametrize('size', [(2, 2), (6, 8), (10, 6)])
@pytest.mark.parametrize('padding', [0, 2, 8, 64])
@pytest.mark.parametrize('encoding', ENCODINGS_420)
def test_a1_yuv420_is_decoded_with_its_planes_and_their_padding(encoding, padding, size):
    random = np.random.default_rng(2)
    y = random.integers(16, 236, size).astype(np.uint8)
    u, v = (random.integers(16, 241, (size[0] // 2, size[1] // 2)).astype(np.uint8) for _ in 'uv')
    data = planes_420(encoding, y, u, v, padding)
    rgb = decode_image(encoding, size[1], size[0], size[1] + padding, data + b'tail')
    assert rgb.shape == (*size, 3)
    np.testing.assert_allclose(rgb, bt601(y, u, v), atol=2)


@pytest.mark.parametrize('encoding', ENCODINGS_420)
def test_a1_yuv420_is_decoded_when_the_step_includes_the_chrominance(encoding):
    y, u, v = np.full((8, 8), 120, np.uint8), np.full((4, 4), 90, np.uint8), np.full((4, 4), 200, np.uint8)
    data = planes_420(encoding, y, u, v)  # depthai-ros: step = size of the data / height
    np.testing.assert_array_equal(decode_image(encoding, 8, 8, 12, data), decode_image(encoding, 8, 8, 8, data))


@pytest.mark.parametrize(
    ('encoding', 'width', 'height', 'step', 'size', 'message'),
    [
        ('nv12', 7, 6, 8, 72, 'a multiple of 2x2'),
        ('nv21', 8, 5, 8, 60, 'a multiple of 2x2'),
        ('i420', 8, 6, 7, 72, 'a step of at least 8'),
        ('nv12', 8, 6, 8, 48, r'48 bytes of data: expected at least step \* height \* 3 / 2 = 72 bytes'),
        ('i420', 8, 6, 10, 89, r'89 bytes of data: expected at least .* = 90 bytes'),
        ('nv12', 8, 6, 12, 71, r'71 bytes of data: expected at least .* = 108 bytes'),
        ('yuv420', 8, 6, 9, 81, 'an even step, because rows of U and V have half of it'),
    ],
)
def test_a4_yuv420_of_a_wrong_size_is_refused_with_both_sizes(encoding, width, height, step, size, message):
    with pytest.raises(BadImage, match=message):
        decode_image(encoding, width, height, step, bytes(size))


@pytest.mark.parametrize('encoding', ['', 'foo', '32FC1', 'bayer_rgbw8'])
def test_a1_other_encodings_are_refused_by_name_with_the_supported_ones(encoding):
    with pytest.raises(BadImage, match=f"'{encoding}'.*supported: .*rgb8"):
        decode(GREY, encoding)


@pytest.mark.parametrize('padding', [0, 1, 2, 3, 64, 127])
@pytest.mark.parametrize(('encoding', 'pixels'), [('rgb8', RGB), ('mono8', GREY), ('rgb16', RGB.astype('<u2') * 257)])
def test_a2_padded_rows_are_cropped_not_skewed(encoding, pixels, padding):
    rows = pixels.reshape(6, -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    expected = decode(np.ascontiguousarray(pixels), encoding)
    got = decode_image(encoding, 8, 6, padded.shape[1], padded.tobytes())
    np.testing.assert_array_equal(got, expected)


def test_a3_big_endian_samples_are_swapped_and_eight_bits_are_not():
    values = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    np.testing.assert_array_equal(decode(values.astype('>u2'), 'mono16', is_bigendian=True), values >> 8)
    np.testing.assert_array_equal(decode(GREY, 'mono8', is_bigendian=True), GREY)


@pytest.mark.parametrize('missing', [1, 24, 143, 144])
def test_a4_short_data_is_refused_with_both_sizes(missing):
    with pytest.raises(BadImage, match=rf'{144 - missing} bytes of data: expected at least .*144'):
        decode(RGB, 'rgb8', data=RGB.tobytes()[: 144 - missing])


def test_a4_extra_data_is_ignored():
    np.testing.assert_array_equal(decode(RGB, 'rgb8', data=RGB.tobytes() + b'tail'), RGB)


@pytest.mark.parametrize('step', [0, 1, 23])
def test_a5_a_step_shorter_than_a_row_is_refused(step):
    with pytest.raises(BadImage, match='a step of at least 24, the bytes of one row'):
        decode(RGB, 'rgb8', step=step)


@pytest.mark.parametrize('size', [(0, 0), (0, 6), (8, 0)])
def test_a6_an_empty_image_is_refused(size):
    with pytest.raises(BadImage, match='is empty'):
        decode(RGB, 'rgb8', width=size[0], height=size[1])


def test_a6_a_huge_declared_size_is_refused_before_anything_is_allocated():
    with pytest.raises(BadImage, match='10 bytes of data'):
        decode_image('rgb8', 65535, 65535, 3 * 65535, bytes(10))


@pytest.mark.parametrize('size', [(1, 1), (1, 4096), (4096, 1)])
def test_a6_narrow_images_are_decoded(size):
    assert decode(np.zeros(size, np.uint8), 'mono8').shape == size


def test_a7_the_image_is_read_only_and_the_message_is_unchanged():
    data = array.array('B', GREY.tobytes())
    image = decode_image('mono8', 8, 6, 8, data)
    with pytest.raises(ValueError, match='read-only'):
        image[0, 0] = 1
    assert data.tobytes() == GREY.tobytes()


def test_a7_a_common_encoding_is_not_copied():
    data = array.array('B', RGB.tobytes())
    assert np.shares_memory(decode_image('rgb8', 8, 6, 24, data), np.frombuffer(data, np.uint8))


def jpeg(image, extension='.jpg'):
    return cv2.imencode(extension, image)[1].tobytes()


SMOOTH_BGR = np.full((16, 16, 3), (30, 60, 200), np.uint8)


@pytest.mark.parametrize(
    ('extension', 'name'), [('.jpg', 'bgr8; jpeg compressed bgr8'), ('.png', 'rgb8; png compressed '), ('.png', 'png')]
)
def test_a10_compressed_images_are_rgb(extension, name):
    rgb = decode_compressed(name, jpeg(SMOOTH_BGR, extension))
    np.testing.assert_allclose(rgb, SMOOTH_BGR[..., ::-1], atol=4)


def test_a10_a_16_bit_png_keeps_its_upper_bits():
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    np.testing.assert_array_equal(decode_compressed('mono16; png compressed', jpeg(values, '.png')), values >> 8)


@pytest.mark.parametrize(
    ('name', 'data', 'message'),
    [
        ('jpeg', b'', 'is empty'),
        ('jpeg', b'not a jpeg at all', 'damaged, truncated, or not an image'),
        ('png', jpeg(SMOOTH_BGR, '.png')[:40], 'cannot be decoded'),
        ('', jpeg(SMOOTH_BGR), 'not that of a camera image'),  # no format
        ('16UC1; compressedDepth png', jpeg(SMOOTH_BGR, '.png'), 'not that of a camera image'),
        ('h264', b'\x00\x00\x00\x01', 'not that of a camera image'),
    ],
)  # fmt: skip
def test_a10_data_that_is_not_an_image_is_refused(name, data, message):
    with pytest.raises(BadImage, match=message):
        decode_compressed(name, data)


@settings(deadline=None, max_examples=300)
@given(
    encoding=st.sampled_from([*SUPPORTED_ENCODINGS, '', 'nonsense']),
    width=st.integers(0, 40),
    height=st.integers(0, 40),
    step=st.integers(0, 400),
    data=st.binary(max_size=4000),
    is_bigendian=st.booleans(),
)
def test_a12_any_header_over_any_bytes_gives_the_declared_shape_or_bad_image(
    encoding, width, height, step, data, is_bigendian
):
    try:
        image = decode_image(encoding, width, height, step, data, is_bigendian)
    except BadImage:
        return
    assert image.shape[:2] == (height, width)
    assert image.dtype == np.uint8
    assert as_grey(image).shape == (height, width)
