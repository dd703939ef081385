"""Encodings without a decoder in depth_ros are decoded by cv_bridge, which is also the reference for the others."""

import sys
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from depth_ros.errors import BadImage
from depth_ros.messages.read_messages import image_pixels

RNG = np.random.default_rng(0)
YUV = RNG.integers(0, 256, (48 * 3, 64), np.uint8)  # NV24: 64x48 of luminance, then interleaved U and V of that size


def image(encoding, pixels, width=64, height=48):
    return SimpleNamespace(
        encoding=encoding,
        width=width,
        height=height,
        step=pixels.nbytes // pixels.shape[0],
        data=pixels.tobytes(),
        is_bigendian=0,
    )


def nv24_as_rgb(planes):
    luminance, chrominance = planes[: len(planes) // 3], planes[len(planes) // 3 :].reshape(-1, planes.shape[1], 2)
    return cv2.cvtColor(np.dstack((luminance, chrominance[..., ::-1])), cv2.COLOR_YCrCb2RGB)


class CvBridgeError(TypeError):
    """As in cv_bridge."""


class CvBridge:
    """The interface of cv_bridge.CvBridge, with a decoder for nv24 only."""

    def imgmsg_to_cv2(self, img_msg, desired_encoding='passthrough'):
        if img_msg.encoding != 'nv24' or desired_encoding != 'rgb8':
            raise CvBridgeError(f'Unrecognized image encoding [{img_msg.encoding}]')
        return nv24_as_rgb(np.ndarray((img_msg.height * 3, img_msg.step), np.uint8, img_msg.data))


@pytest.fixture
def stand_in(monkeypatch):
    module = ModuleType('cv_bridge')
    module.CvBridge, module.CvBridgeError = CvBridge, CvBridgeError
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)


def test_an_encoding_without_our_own_decoder_is_decoded_by_cv_bridge(stand_in):
    np.testing.assert_array_equal(image_pixels(image('nv24', YUV)), nv24_as_rgb(YUV))


@pytest.mark.parametrize(
    ('message', 'words'),
    [
        (image('nv99', YUV), r"'nv99' is not supported; supported: .*rgb8.* cv_bridge does not .* \[nv99\]"),
        (image('nv24', YUV[:10]), 'cv_bridge does not decode it either: buffer is too small'),
        (image('nv24', YUV, width=60), r"cv_bridge decoded 'nv24' as uint8 of shape \(48, 64, 3\); expected .*48, 60"),
        (image('', YUV), "image encoding '' is not supported"),
    ],
)
def test_what_cv_bridge_cannot_decode_is_a_bad_image_with_both_reasons(stand_in, message, words):
    with pytest.raises(BadImage, match=words):
        image_pixels(message)


def test_without_cv_bridge_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(BadImage, match=r"'nv24' is not supported; supported: .*or install cv_bridge"):
        image_pixels(image('nv24', YUV))


def test_our_own_encodings_do_not_go_through_cv_bridge(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    pixels = RNG.integers(0, 256, (48, 64), np.uint8)
    np.testing.assert_array_equal(image_pixels(image('mono8', pixels)), pixels)


@pytest.mark.parametrize(
    ('encoding', 'channels', 'kind'),
    [
        *((f'{order}{bits}', n, f'u{bits // 8}') for bits in (8, 16) for order, n in (('rgb', 3), ('bgr', 3))),
        *((f'{order}8', 4, 'u1') for order in ('rgba', 'bgra')),
        *((f'bayer_{order}8', 1, 'u1') for order in ('rggb', 'bggr', 'gbrg', 'grbg')),
        ('yuv422', 2, 'u1'),
    ],
)
def test_cv_bridge_decodes_the_common_encodings_as_we_do(encoding, channels, kind):
    bridge = pytest.importorskip('cv_bridge', reason='cv_bridge comes with a ROS installation, not from PyPI')
    sensor_msgs = pytest.importorskip('sensor_msgs.msg')
    pixels = RNG.integers(0, 256, (48, 64, channels)).astype(kind) * (257 if kind == 'u2' else 1)
    message = sensor_msgs.Image(encoding=encoding, width=64, height=48, step=pixels.nbytes // 48)
    message.data = pixels.astype(kind).tobytes()
    expected = bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8')
    np.testing.assert_array_equal(image_pixels(message), expected)
