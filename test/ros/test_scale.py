"""Metres for a relative model on a live graph: every kind of reference, the floor, states, resets, and what is wrong."""

import sys
import time
import types

import numpy as np
import pytest
from geometry_msgs.msg import Vector3
from graph import MonoGraph, wait_for
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image, Imu, LaserScan, PointCloud2, PointField, Range
from std_srvs.srv import Trigger

from depth_ros.estimators.fake_estimator import FakeMultiviewEstimator
from depth_ros.messages import read_messages
from depth_ros.messages import reference_messages as convert
from depth_ros.ros.ros_messages import to_ros
from depth_ros.types import Camera, Cloud, DepthEstimate

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'
WIDTH, HEIGHT = 64, 48
CAMERA = Camera(WIDTH, HEIGHT, 60.0, 60.0, 32.0, 24.0)
S, T = 2.0, 0.05
LIDAR = '0.1 0 0 0 0 0'


def room(height_m=0.5):
    """Return the depth of a floor ahead, up to a wall at 4 m."""
    rows = np.arange(HEIGHT)[:, None]
    with np.errstate(divide='ignore'):
        floor = height_m / ((rows - CAMERA.cy) / CAMERA.fy)
    floor[: int(CAMERA.cy) + 1] = np.inf
    return np.minimum(np.broadcast_to(floor, (HEIGHT, WIDTH)), 4.0).astype(np.float32)


class Relative:
    """Sees the room, up to scale and shift of the inverse depth (or up to a factor)."""

    name = 'relative'

    def __init__(self, depth_m=None, factor=None):
        self.depth_m = room() if depth_m is None else depth_m
        self.factor = factor

    def estimate(self, frame):
        if self.factor is not None:
            return DepthEstimate(self.depth_m / np.float32(self.factor), 'metric_depth', None)
        values = (1 / self.depth_m - np.float32(T)) / np.float32(S)
        return DepthEstimate(values, 'relative_inverse_depth', None, ('scale_shift',))

    def cancel(self):
        pass

    def close(self):
        pass


def scaled(estimator=None, listen=(DEPTH, 'depth/relative', 'scale'), **parameters):
    values = {
        'model': 'x',
        'filter.edges': False,
        'range_min_m': 0.1,
        **{name.replace('__', '.'): value for name, value in parameters.items()},
    }
    graph = MonoGraph(values, lambda settings, watch: estimator or Relative(), listen)
    graph.infos['left'] = read_messages.calibration(to_ros.camera_info(CAMERA, to_ros.header(0, '')))
    return graph


def floats(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def points_ahead(count=300, offset_x=-0.1):
    """Return points of the room in the frame of a sensor 0.1 m to the right of the camera."""
    rng = np.random.default_rng(0)
    v, u = rng.integers(26, HEIGHT, count), rng.integers(0, WIDTH, count)
    z = room()[v, u]
    points = np.stack([(u - CAMERA.cx) / CAMERA.fx * z + offset_x, (v - CAMERA.cy) / CAMERA.fy * z, z], axis=1)
    return points.astype(np.float32)


def cloud(graph, head, points=None):
    points = points_ahead() if points is None else points
    return to_ros.point_cloud(Cloud(points.astype(np.float32)), head)


def depth_image(graph, head):
    graph.publisher(CameraInfo, 'scale/camera_info').publish(to_ros.camera_info(CAMERA, head))
    return to_ros.image(room(), '32FC1', head)


def run_until_metres(graph, kind, make, frames=40):
    """Send images and references until metres come; return how many frames it took."""
    topic = graph.publisher(kind, 'scale/reference')
    wait_for(lambda: graph.is_subscribed(topic))
    for sent in range(1, frames + 1):
        head, before = graph.head(frame_id='sensor'), graph.node.accounting.counts().received
        topic.publish(make(graph, head))
        graph.send(stamp_ns=read_messages.stamp_ns(head.stamp))
        wait_for(lambda before=before: graph.node.accounting.counts().received > before)
        graph.wait_until_settled()
        try:
            graph.wait_for_messages(DEPTH, 1, timeout_s=0.3)
        except AssertionError:
            continue
        return sent
    raise AssertionError(f'no metres after {frames} frames: {graph.status()}')


@pytest.mark.parametrize(
    ('kind', 'message', 'make', 'extrinsics'),
    [
        ('points', PointCloud2, cloud, LIDAR),
        ('depth', Image, depth_image, '0 0 0 0 0 0'),
    ],
)
def test_a_reference_gives_metres_within_five_frames(kind, message, make, extrinsics):
    with scaled(scale__source='reference', scale__reference_type=kind, scale__extrinsics=extrinsics) as graph:
        graph.open_camera()
        graph.send()
        graph.wait_for_messages('depth/relative')
        assert not graph.received[DEPTH]
        if kind == 'depth':
            info = graph.publisher(CameraInfo, 'scale/camera_info')
            wait_for(lambda: graph.is_subscribed(info))
        assert run_until_metres(graph, message, make) <= 5
        np.testing.assert_allclose(floats(graph.received[DEPTH][-1]), room(), rtol=0.01)
        wait_for(lambda: graph.received['scale'] and graph.received['scale'][-1].status[0].message == 'tracking')
        values = {pair.key: pair.value for pair in graph.received['scale'][-1].status[0].values}
        assert values['state'] == 'tracking' and float(values['scale']) == pytest.approx(S, rel=0.01)
        wait_for(lambda: graph.received['/diagnostics'] and graph.status()[2].get('scale.state') == 'tracking')


def scan_ahead(graph, head):
    """Return a level scan of the wall, 0.2 m below the camera, by a sensor that sits in the camera's place."""
    message = LaserScan(header=head, angle_min=-0.4, angle_increment=0.02, range_min=0.1, range_max=20.0)
    angles = message.angle_min + message.angle_increment * np.arange(41)
    message.angle_max = float(angles[-1])
    message.ranges = (3.0 / np.cos(angles)).astype(np.float32).tolist()
    return message


def range_ahead(graph, head):
    return Range(header=head, field_of_view=0.3, min_range=0.1, max_range=10.0, range=3.0)


# x forward, y left, z up, seen from the optical frame
TO_OPTICAL = '0 0 0 1.5707963 -1.5707963 0'


@pytest.mark.parametrize(('kind', 'message', 'make'), [('scan', LaserScan, scan_ahead), ('range', Range, range_ahead)])
def test_a_scan_or_a_range_corrects_a_metric_model(kind, message, make):
    wall = Relative(np.full((HEIGHT, WIDTH), 3.0, np.float32), factor=1.4)
    with scaled(wall, scale__source='reference', scale__reference_type=kind, scale__extrinsics=TO_OPTICAL) as graph:
        graph.open_camera()
        run_until_metres(graph, message, make)
        np.testing.assert_allclose(floats(graph.received[DEPTH][-1]), 3.0, rtol=0.01)


def test_the_floor_gives_metres_with_a_known_height():
    with scaled(scale__source='ground', camera_height_m=0.5) as graph:
        graph.open_camera()
        graph.stream(5)
        np.testing.assert_allclose(floats(graph.wait_for_messages(DEPTH)[-1]), room(), rtol=0.01)


def test_the_floor_is_found_with_gravity_from_an_imu_in_the_camera_s_frame():
    with scaled(scale__source='ground', camera_height_m=0.5, scale__imu=True, camera_pitch_rad=0.7) as graph:
        graph.open_camera()
        graph.send()
        assert 'no IMU message received' in graph.wait_for_status('scale is not known')[1]
        imu = graph.publisher(Imu, 'imu')
        wait_for(lambda: graph.is_subscribed(imu))
        up = Vector3(x=0.0, y=-9.8, z=0.0)

        def measured():
            imu.publish(Imu(header=graph.head(), linear_acceleration=up))
            return graph.received[DEPTH]

        graph.send_until(measured)
        swung = Imu(header=graph.head(), linear_acceleration=Vector3(x=30.0))
        wait_for(lambda: imu.publish(swung) or 'the IMU measures 30.0 m/s²' in graph.status()[1])


def test_without_a_floor_there_is_no_guess():
    wall = Relative(np.full((HEIGHT, WIDTH), 2.0, np.float32))
    with scaled(wall, scale__source='ground', camera_height_m=0.5) as graph:
        graph.open_camera()
        graph.stream(8)
        assert 'no floor is visible' in graph.wait_for_status('scale is not known')[1]
        assert not graph.received[DEPTH] and graph.received['depth/relative']


def test_fixed_numbers_give_metres_at_once():
    with scaled(scale__source='fixed', scale__fixed_scale=S, scale__fixed_shift=T) as graph:
        graph.open_camera()
        graph.send()
        np.testing.assert_allclose(floats(graph.wait_for_messages(DEPTH)[-1]), room(), rtol=1e-3)


def test_a_scale_is_held_then_forgotten_and_comes_back():
    with scaled(scale__source='reference', scale__extrinsics=LIDAR, scale__hold_s=1.5) as graph:
        graph.open_camera()
        run_until_metres(graph, PointCloud2, cloud)

        def state():
            graph.send()
            return {pair.key: pair.value for pair in graph.received['scale'][-1].status[0].values}['state']

        wait_for(lambda: state() == 'held')
        wait_for(lambda: state() == 'unknown')
        before = len(graph.received[DEPTH])
        wait_for(lambda: graph.send() and 'the newest reference is' in graph.status()[1])
        assert len(graph.received[DEPTH]) == before
        graph.received[DEPTH].clear()
        run_until_metres(graph, PointCloud2, cloud)


def test_a_service_resets_the_scale():
    with scaled(scale__source='reference', scale__extrinsics=LIDAR) as graph:
        graph.open_camera()
        run_until_metres(graph, PointCloud2, cloud)
        assert graph.call(Trigger, 'mono_depth/reset_scale', Trigger.Request()).success
        graph.received['depth/relative'].clear()
        graph.send()
        graph.wait_for_messages('depth/relative')
    with scaled() as graph:
        answer = graph.call(Trigger, 'mono_depth/reset_scale', Trigger.Request())
        assert not answer.success and 'scale.source is none' in answer.message


def test_when_time_jumps_back_the_scale_is_forgotten():
    with scaled(scale__source='reference', scale__extrinsics=LIDAR) as graph:
        graph.open_camera()
        run_until_metres(graph, PointCloud2, cloud)
        graph.received['depth/relative'].clear()
        graph.send(stamp_ns=1_000_000_000)
        graph.wait_for_messages('depth/relative')
        graph.wait_for_status('newer than the image')


def no_camera_info(graph):
    for _ in range(2):  # an image waits for its camera_info until the next one comes
        graph.send(info=False)


@pytest.mark.parametrize(
    ('points', 'stamp_offset_s', 'extrinsics', 'words'),
    [
        (None, -5.0, LIDAR, 'the newest reference is 5.0'),
        (None, 0.0, '', "the pose of 'sensor' in"),
        (np.array([[0, 0, -2.0]] * 300), 0.0, LIDAR, '0 of 300 reference points are inside the image'),
        (np.full((300, 3), np.nan), 0.0, LIDAR, '0 of 300 reference points are inside the image'),
        (np.array([[5.0, 5.0, 1.0]] * 300), 0.0, LIDAR, 'scale.extrinsics or tf'),
        ('random', 0.0, LIDAR, 'reference points agree on a scale; expected 40%'),
    ],
)
def test_a_reference_that_is_of_no_use_is_explained(points, stamp_offset_s, extrinsics, words):
    if isinstance(points, str):
        rng = np.random.default_rng(0)
        points = points_ahead() * rng.uniform(0.1, 10.0, (300, 1))
    with scaled(scale__source='reference', scale__extrinsics=extrinsics) as graph:
        graph.open_camera()
        topic = graph.publisher(PointCloud2, 'scale/reference')
        wait_for(lambda: graph.is_subscribed(topic))

        def told():
            now = graph.probe.get_clock().now().nanoseconds
            head = to_ros.header(now + int(stamp_offset_s * 1e9), 'sensor')
            topic.publish(cloud(graph, head, points))
            graph.send(stamp_ns=now)
            return graph.received['/diagnostics'] and words in graph.status()[1]

        wait_for(told, what=lambda: f'{graph.status()}')
        assert not graph.received[DEPTH]


def test_a_missing_reference_and_missing_camera_info_are_reported():
    with scaled(scale__source='reference') as graph:
        graph.open_camera()
        wait_for(
            lambda: graph.send() and graph.received['/diagnostics'] and 'no reference received' in graph.status()[1]
        )
    with scaled(scale__source='reference') as graph:
        graph.open_camera()
        wait_for(
            lambda: no_camera_info(graph) or (graph.received['/diagnostics'] and 'no camera_info' in graph.status()[1])
        )


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'scale__source': 'ground'}, 'camera_height_m is 0; expected the height of the camera'),
        ({'scale__source': 'ground', 'camera_height_m': -1.0}, 'camera_height_m'),
        (
            {'scale__source': 'reference', 'scale__extrinsics': '1 2 3'},
            'expected six numbers, x y z (m) roll pitch yaw (rad)',
        ),
        ({'scale__source': 'lidar'}, "scale.source is 'lidar' (str); expected one of none, fixed, reference, ground"),
    ],
)
def test_settings_that_cannot_give_metres_fail_configure(parameters, words):
    with scaled(**parameters) as graph:
        assert words in graph.wait_for_status('cannot configure')[1]


def test_the_pose_of_a_sensor_is_read_from_tf_where_tf2_is_installed(monkeypatch):
    asked = []

    class Buffer:
        def lookup_transform(self, target, source, time):
            asked.append((target, source, time.nanoseconds))
            if time.nanoseconds:
                raise Unknown
            translation, rotation = (
                types.SimpleNamespace(x=0.1, y=0.0, z=0.0),
                types.SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0),
            )
            return types.SimpleNamespace(transform=types.SimpleNamespace(translation=translation, rotation=rotation))

    class Unknown(Exception):
        pass

    fake = types.ModuleType('tf2_ros')
    fake.Buffer, fake.TransformListener, fake.TransformException = Buffer, lambda buffer, node: (buffer, node), Unknown
    monkeypatch.setitem(sys.modules, 'tf2_ros', fake)
    with scaled(scale__source='reference') as graph:
        graph.open_camera()
        run_until_metres(graph, PointCloud2, cloud)
        np.testing.assert_allclose(floats(graph.received[DEPTH][-1]), room(), rtol=0.01)
    assert asked[0][:2] == ('left_camera_optical_frame', 'sensor') and asked[1][2] == 0


def test_clouds_of_any_layout_are_read():
    points = points_ahead(7)
    head = to_ros.header(5, 'sensor')
    whole = cloud(None, head, points)
    np.testing.assert_array_equal(convert.points_of_cloud(whole).points_m, points)
    padded = np.zeros((7, 12), '>f8')
    padded[:, 2:5] = points
    double = PointCloud2(header=head, height=1, width=7, point_step=96, row_step=96 * 7 + 8, is_bigendian=True)
    double.fields = [PointField(name=n, offset=16 + 8 * i, datatype=8, count=1) for i, n in enumerate('xyz')]
    double.data = padded.tobytes() + bytes(8)
    np.testing.assert_allclose(convert.points_of_cloud(double).points_m, points, rtol=1e-6)
    double.data = double.data[:-100]
    with pytest.raises(Exception, match='row_step 680; expected at least 680 bytes and a row_step of at least 672'):
        convert.points_of_cloud(double)
    whole.fields = whole.fields[:2]
    with pytest.raises(Exception, match='has the fields x, y; expected x, y, z'):
        convert.points_of_cloud(whole)


def test_the_motion_of_the_camera_gives_metres_while_it_moves_and_the_state_says_why_not(monkeypatch):
    sweep = FakeMultiviewEstimator(room(), confidence=None)
    monkeypatch.setattr('depth_ros.messages.scale_sensors.multiview_estimator', lambda settings: sweep)
    with scaled(scale__source='motion', scale__extrinsics='0 0 0 0 0 0', scale__hold_s=1.0) as graph:
        graph.open_camera()
        odometry = graph.publisher(Odometry, 'odom')

        def drive(speed):
            """Publish an image, and the odometry of its stamp after it."""
            nonlocal x
            x += 0.03 * speed
            stamp = graph.send()
            message = Odometry(header=to_ros.header(stamp, 'odom'), child_frame_id='base_link')
            message.pose.pose.position.x, message.pose.pose.orientation.w = x, 1.0
            odometry.publish(message)
            time.sleep(0.05)
            return graph.received['/diagnostics']

        x = 0.0
        wait_for(lambda: drive(0.0) and 'too little motion' in graph.status()[1], what=graph.status)
        assert not graph.received[DEPTH] and graph.received['depth/relative']
        wait_for(lambda: drive(1.0) and graph.received[DEPTH], what=graph.status)
        np.testing.assert_allclose(floats(graph.received[DEPTH][-1]), room(), rtol=0.02)
        reference, sources = sweep.calls[-1]
        assert abs(reference.pose[0, 3] - sources[0].pose[0, 3]) > 0.05
