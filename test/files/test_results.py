import cv2
import numpy as np
import pytest

from depth_ros.errors import BadFile
from depth_ros.files.image_files import list_image_files, read_image_file, write_image_file
from depth_ros.files.ply_file import write_ply
from depth_ros.stages.project import project
from depth_ros.types import Camera, Cloud, DepthMap

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.mark.parametrize('pixels', [RGB, RGB[..., 0]])
def test_an_image_survives_a_png(tmp_path, pixels):
    write_image_file(tmp_path / 'a.png', np.ascontiguousarray(pixels))
    np.testing.assert_array_equal(read_image_file(tmp_path / 'a.png'), pixels)


def test_sixteen_bits_survive_a_png(tmp_path):
    millimetres = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    write_image_file(tmp_path / 'a.png', millimetres)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'a.png'), cv2.IMREAD_UNCHANGED), millimetres)


@pytest.mark.parametrize(
    ('largest', 'bits'),
    [(255, 8), (4095, 12), (65535, 16)],
)
def test_a_pgm_of_8_12_and_16_bits_is_read(tmp_path, largest, bits):
    values = np.linspace(0, largest, 48).reshape(6, 8)
    samples = values.astype('>u2' if bits > 8 else 'u1')
    (tmp_path / 'a.pgm').write_bytes(b'P5\n# a comment\n8 6\n%d\n' % largest + samples.tobytes())
    np.testing.assert_array_equal(read_image_file(tmp_path / 'a.pgm'), samples.astype(int) >> (bits - 8))
    assert list_image_files(tmp_path) == [tmp_path / 'a.pgm']


def test_a_file_that_is_not_an_image_is_refused_by_name(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'nonsense')
    with pytest.raises(BadFile, match=r'a\.png cannot be decoded: .*damaged.* Expected an image file \(png, jpg'):
        read_image_file(tmp_path / 'a.png')
    with pytest.raises(BadFile, match=r'b\.png cannot be read: No such file'):
        read_image_file(tmp_path / 'b.png')
    with pytest.raises(BadFile, match='cannot be written'):
        write_image_file(tmp_path / 'nowhere/a.png', RGB)


def test_a_ply_has_the_finite_points_with_their_colours(tmp_path):
    depth_m = np.full((6, 8), 2.0, np.float32)
    depth_m[0, 0] = np.nan
    depth = DepthMap(depth_m, Camera(8, 6, 10, 10, 4, 3), None, None, RGB)
    assert write_ply(tmp_path / 'a.ply', project(depth, colored=True)) == 47
    header, body = (tmp_path / 'a.ply').read_bytes().split(b'end_header\n')
    assert b'element vertex 47' in header
    vertices = np.frombuffer(body, [('xyz', '<f4', 3), ('rgb', 'u1', 3)])
    np.testing.assert_array_equal(vertices['rgb'], RGB.reshape(-1, 3)[1:])
    np.testing.assert_array_equal(vertices['xyz'][:, 2], 2.0)


def test_a_ply_without_colour_has_three_columns(tmp_path):
    write_ply(tmp_path / 'a.ply', Cloud(np.ones((5, 3), np.float32)))
    assert b'uchar' not in (tmp_path / 'a.ply').read_bytes()
