"""Family G of the fault list: output; and what becomes of it on the wire."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from scenes import calibrations
from sensor_msgs.msg import CompressedImage
from stereo_msgs.msg import DisparityImage

from depth_ros.messages import read_messages
from depth_ros.messages.read_messages import point_fields
from depth_ros.ros.outputs import CloudMessages
from depth_ros.ros.ros_messages import read_points, to_ros
from depth_ros.stages.project import project
from depth_ros.types import Calibration, Camera, Cloud, DepthMap, Disparity

HEAD = to_ros.header(12_000_000_034, 'left_camera_optical_frame')
RNG = np.random.default_rng(0)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def points_of(message):
    """Read a cloud field by field, as its description says; independent of how it was written."""
    order = '>' if message.is_bigendian else '<'
    rows = []
    for v in range(message.height):
        for u in range(message.width):
            at = v * message.row_step + u * message.point_step
            rows.append(
                [struct.unpack_from(order + 'f', message.data, at + field.offset)[0] for field in message.fields]
            )
    return np.array(rows, np.float32).reshape(message.height, message.width, len(message.fields))


def test_stamp_and_frame_survive():
    assert read_messages.stamp_ns(HEAD.stamp) == 12_000_000_034
    assert over_the_wire(to_ros.image(np.zeros((2, 3), np.uint8), 'mono8', HEAD)).header == HEAD


@pytest.mark.parametrize(
    ('pixels', 'encoding', 'step'),
    [
        (RNG.random((4, 5), np.float32), '32FC1', 20),
        (RNG.integers(0, 65536, (4, 5), np.uint16), '16UC1', 10),
        (RNG.integers(0, 256, (4, 5, 3), np.uint8), 'rgb8', 15),
        (RNG.random((8, 10), np.float32)[::2, ::2], '32FC1', 20),  # not contiguous
    ],
)
def test_an_image_arrives_as_it_was(pixels, encoding, step):
    message = over_the_wire(to_ros.image(pixels, encoding, HEAD))
    assert (message.height, message.width, message.step, message.encoding) == (4, 5, step, encoding)
    np.testing.assert_array_equal(np.frombuffer(message.data, pixels.dtype).reshape(pixels.shape), pixels)


def test_a_camera_image_is_decoded_from_its_message():
    rgb = RNG.integers(0, 256, (4, 5, 3), np.uint8)
    np.testing.assert_array_equal(read_messages.image_pixels(over_the_wire(to_ros.image(rgb, 'rgb8', HEAD))), rgb)
    import cv2

    png = CompressedImage(format='png', data=cv2.imencode('.png', rgb[..., ::-1])[1].tobytes())
    np.testing.assert_array_equal(read_messages.image_pixels(over_the_wire(png)), rgb)


def test_g1_an_organized_cloud_keeps_rows_and_columns():
    points = RNG.random((48, 64, 3), np.float32)
    message = over_the_wire(to_ros.point_cloud(Cloud(points), HEAD))
    assert (message.height, message.width) == (48, 64)
    assert message.row_step == 64 * message.point_step
    np.testing.assert_array_equal(points_of(message), points)  # pixel (u, v) is point v * width + u


@pytest.mark.parametrize('columns', [3, 4])
def test_g2_fields_are_described_as_they_lie(columns):
    points = RNG.random((7, columns), np.float32)
    message = over_the_wire(to_ros.point_cloud(Cloud(points), HEAD))
    assert [f.name for f in message.fields] == ['x', 'y', 'z', 'rgb'][:columns]
    assert message.point_step == 4 * columns and message.point_step % 4 == 0
    assert message.is_dense and message.height == 1
    assert len(message.data) == message.row_step * message.height
    np.testing.assert_array_equal(points_of(message)[0], points)


def test_g2_a_colour_is_packed_as_pcl_and_rviz_read_it():
    depth_m = np.full((4, 6), 2.0, np.float32)
    red_green_blue = np.broadcast_to(np.uint8([10, 20, 30]), (4, 6, 3))
    depth = DepthMap(depth_m, Camera(6, 4, 10.0, 10.0, 3.0, 2.0), None, None, red_green_blue)
    for organized in (False, True):
        message = over_the_wire(to_ros.point_cloud(project(depth, True, organized), HEAD))
        (field,) = [field for field in message.fields if field.name == 'rgb']
        assert field.datatype == field.FLOAT32
        points = np.frombuffer(message.data, np.uint8).reshape(-1, message.point_step)
        packed = points[:, field.offset : field.offset + 4]
        assert (packed == [30, 20, 10, 0]).all()  # a C++ iterator over 'r' reads byte 2, 'g' byte 1, 'b' byte 0


def test_g2_a_cloud_is_dense_exactly_if_no_point_is_nan():
    depth_m = np.full((4, 6), 2.0, np.float32)
    camera, image = Camera(6, 4, 10.0, 10.0, 3.0, 2.0), np.zeros((4, 6), np.uint8)
    for unknown in (False, True):
        if unknown:
            depth_m[1, 2] = np.nan
        depth = DepthMap(depth_m, camera, None, None, image)
        organized = to_ros.point_cloud(project(depth, True, True), HEAD)
        reused = CloudMessages().message(depth, True, 1, HEAD)
        for message in (organized, reused):
            assert message.is_dense == (not unknown) and (message.height, message.width) == (4, 6)
            assert np.isnan(points_of(message)[..., :3]).any() == unknown
        only_known = to_ros.point_cloud(project(depth, True, False), HEAD)
        assert only_known.is_dense and only_known.width == 24 - unknown


def test_g2_sensor_msgs_py_reads_the_same_where_it_is_installed():
    points = RNG.random((6, 5, 4), np.float32)
    message = to_ros.point_cloud(Cloud(points), HEAD)
    expected = points_of(message)
    try:
        from sensor_msgs_py.point_cloud2 import read_points
    except ImportError:
        got = expected  # wheels have no sensor_msgs_py; our own reader above stands alone there
    else:
        read = read_points(message, field_names=['x', 'y', 'z', 'rgb'])
        got = np.stack([read[name] for name in ('x', 'y', 'z', 'rgb')], -1).reshape(6, 5, 4)
    np.testing.assert_array_equal(got, points)


def test_an_empty_cloud_is_a_valid_message():
    message = over_the_wire(to_ros.point_cloud(Cloud(np.empty((0, 4), np.float32)), HEAD))
    assert (message.width, message.height, len(message.data)) == (0, 1, 0)


def test_memory_of_clouds_is_used_again_and_every_message_is_right_when_it_is_published():
    camera = Camera(8, 6, 10.0, 10.0, 4.0, 3.0)
    clouds, seen = CloudMessages(), []
    for z in (1.0, 2.0):
        depth = DepthMap(np.full((6, 8), z, np.float32), camera, None, None, np.zeros((6, 8), np.uint8))
        message = clouds.message(depth, colored=True, stride=1, head=HEAD)
        seen.append(points_of(over_the_wire(message))[..., 2])
    assert (seen[0] == 1.0).all() and (seen[1] == 2.0).all()


def test_all_fields_of_a_disparity_image_are_set():
    px = np.float32([[np.nan, 3.0], [40.0, 0.5]])
    message = over_the_wire(to_ros.disparity_image(Disparity(px, 500.0, 0.12, 0.0, 64.0), HEAD))
    assert isinstance(message, DisparityImage)
    got = np.frombuffer(message.image.data, np.float32).reshape(2, 2)
    assert got[0, 0] < message.min_disparity  # unknown
    np.testing.assert_array_equal(got[1], px[1])
    assert (message.f, round(message.t, 6), message.max_disparity) == (500.0, 0.12, 64.0)
    assert (message.valid_window.width, message.valid_window.height) == (2, 2)
    assert message.image.header == message.header


def test_calibrations_survive_both_ways():
    left, right = calibrations(640, 480, offset_px=-31.0)
    for calibration in (left, right, Calibration(**{**right.__dict__, 'binning': (2, 2), 'roi': (8, 4, 320, 240)})):
        back = read_messages.calibration(over_the_wire(to_ros.calibration(calibration, HEAD)))
        assert back == Calibration(**{**calibration.__dict__, 'frame_id': HEAD.frame_id})


@pytest.mark.parametrize('colored', [True, False])
def test_sensor_msgs_py_reads_our_clouds_as_we_do(colored):
    reader = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py comes with a ROS installation, not from PyPI'
    )
    points = np.random.default_rng(0).normal(size=(50, 4 if colored else 3)).astype(np.float32)
    points[7, 2] = np.nan
    message = to_ros.point_cloud(Cloud(points), HEAD)
    names = ('x', 'y', 'z', 'rgb') if colored else ('x', 'y', 'z')
    theirs, ours = reader.read_points(message, names), point_fields(message, names)
    assert theirs.dtype == ours.dtype
    for column, name in enumerate(names):
        np.testing.assert_array_equal(theirs[name], points[:, column])
        np.testing.assert_array_equal(ours[name], points[:, column])
    assert read_points is reader.read_points  # the tools on the subscriber's side use it


def test_without_sensor_msgs_py_the_tools_read_clouds_with_our_own_reader():
    code = (
        'import sys; sys.modules["sensor_msgs_py.point_cloud2"] = None; '
        'from depth_ros.ros.ros_messages import read_points; print(read_points.__name__)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == 'point_fields', done.stderr
