"""What the node publishes, on a live graph."""

import array
import time

import cv2
import numpy as np
import pytest
from graph import STEREO_TOPICS, Graph, MonoGraph, wait_for
from rcl_interfaces.msg import Log
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.messages import read_messages
from depth_ros.pipeline import stereo_estimator
from depth_ros.ros import outputs
from depth_ros.stages.depth_encoding import compressed_depth

pytestmark = pytest.mark.ros
DEPTH_M = 300.0 * 0.1 / 16.0  # of the fake's wall, with the calibration of scenes.py


def floats(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def test_g4_all_topics_of_a_frame_share_its_stamp_frame_and_size():
    with Graph({'cloud_rate_hz': 0.0}) as graph:
        graph.open_camera()
        stamps = []
        for sent in range(1, 11):
            stamps.append(graph.send())
            graph.wait_for_messages('depth/image_rect', sent)
        expected = set(STEREO_TOPICS) - {'confidence'}  # the fake estimator has none
        for topic in expected:
            got = [read_messages.stamp_ns(m.header.stamp) for m in graph.wait_for_messages(topic, 10)]
            assert set(got) <= set(stamps)
            assert {m.header.frame_id for m in graph.received[topic]} == {'left_camera_optical_frame'}
        account = graph.wait_until_settled()
        wait_for(lambda: len(graph.received['points']) == account.published)
        by_stamp = [{read_messages.stamp_ns(m.header.stamp) for m in graph.received[t]} for t in expected]
        assert all(stamps_of == by_stamp[0] for stamps_of in by_stamp)  # an exact-time sync gets every set
        depth, info = graph.received['depth/image_rect'][0], graph.received['depth/camera_info'][0]
        assert (info.width, info.height) == (depth.width, depth.height) == (64, 48)
        assert depth.encoding == '32FC1'
        np.testing.assert_allclose(floats(depth), DEPTH_M, rtol=1e-6)


def test_a_real_pair_gives_real_metres(motorcycle):
    with Graph(make_estimator=stereo_estimator, width=741, height=500) as graph:
        graph.infos = {'left': motorcycle.left_calibration, 'right': motorcycle.right_calibration}
        graph.open_camera()
        head = graph.head()
        graph.send(left=graph.image(head, motorcycle.left, 'rgb8'), right=graph.image(head, motorcycle.right, 'rgb8'))
        depth = graph.wait_for_messages('depth/image_rect')[0]
        accuracy = motorcycle.accuracy(floats(depth))
        assert accuracy.valid_fraction >= 0.90 and accuracy.bad2_fraction <= 0.05
        disparity = graph.wait_for_messages('disparity')[0]
        known = np.isfinite(floats(depth))
        z = disparity.f * disparity.t / floats(disparity.image)[known]  # as every consumer computes it
        np.testing.assert_allclose(z, floats(depth)[known], rtol=1e-4)
        confidence = floats(graph.wait_for_messages('confidence')[0])
        assert confidence.min() == 0 and 0.9 < confidence.max() <= 1


@pytest.mark.parametrize(
    ('parameters', 'check'),
    [
        (
            {'cloud_organized': True, 'cloud_stride': 1, 'cloud_fields': 'xyz'},
            lambda c: (c.height, c.width, c.point_step, c.is_dense) == (48, 64, 12, True),
        ),
        ({'cloud_organized': True, 'cloud_stride': 3}, lambda c: (c.height, c.width, c.point_step) == (16, 22, 16)),
        (
            {'cloud_organized': False, 'cloud_stride': 2},
            lambda c: (c.height, c.width, c.is_dense) == (1, 24 * 32, True),
        ),
    ],
)
def test_the_cloud_has_the_configured_form(parameters, check):
    with Graph({'cloud_rate_hz': 0.0, **parameters}) as graph:
        graph.open_camera()
        graph.send()
        cloud = graph.wait_for_messages('points')[0]
        assert check(cloud), (cloud.height, cloud.width, cloud.point_step, cloud.is_dense)
        xyz = np.frombuffer(cloud.data, np.float32).reshape(-1, cloud.point_step // 4)
        np.testing.assert_allclose(xyz[:, 2], DEPTH_M, rtol=1e-6)


def test_clouds_keep_their_own_rate():
    with Graph({'cloud_rate_hz': 5.0}) as graph:
        graph.open_camera()
        started_s = time.monotonic()
        graph.stream(60, rate_hz=30.0)
        graph.wait_until_settled()
        depths, clouds = (len(graph.received[topic]) for topic in ('depth/image_rect', 'points'))
        due = 5.0 * (time.monotonic() - started_s)
        assert 0.6 * min(due, depths) <= clouds <= due + 2 and clouds < depths


def test_depth_is_published_in_millimetres_when_configured():
    with Graph({'depth_encoding': '16UC1'}) as graph:
        graph.open_camera()
        graph.send()
        depth = graph.wait_for_messages('depth/image_rect')[0]
        assert depth.encoding == '16UC1' and depth.step == 128
        assert set(np.frombuffer(depth.data, np.uint16)) == {round(DEPTH_M * 1000)}


def test_the_published_intrinsics_belong_to_the_published_size():
    with Graph({'processing_scale': 0.5}) as graph:
        graph.open_camera()
        graph.send()
        depth, info = graph.wait_for_messages('depth/image_rect')[0], graph.wait_for_messages('depth/camera_info')[0]
        assert (depth.width, depth.height) == (info.width, info.height) == (32, 24)
        assert info.k[0] == info.p[0] == 150.0
        assert info.k[2] == info.p[2] == (32 + 0.5) * 0.5 - 0.5


def test_compressed_images_are_used_when_configured():
    with Graph({'image_transport': 'compressed'}) as graph:
        graph.open_camera(compressed=True)
        png = cv2.imencode('.png', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        graph.send(
            left=CompressedImage(format='rgb8; png compressed bgr8', data=png),
            right=CompressedImage(format='png', data=png),
        )
        assert graph.wait_for_messages('depth/image_rect')


def test_raw_images_are_rectified_when_configured(motorcycle):
    with Graph({'rectify': True}, make_estimator=stereo_estimator, width=741, height=500) as graph:
        graph.infos = {'left': motorcycle.left_calibration, 'right': motorcycle.right_calibration}
        graph.open_camera()
        head = graph.head()
        graph.send(left=graph.image(head, motorcycle.left, 'rgb8'), right=graph.image(head, motorcycle.right, 'rgb8'))
        assert motorcycle.accuracy(floats(graph.wait_for_messages('depth/image_rect')[0])).valid_fraction >= 0.9


def test_g5_the_colour_image_is_published_on_its_own_topic_only():
    with Graph() as graph:
        graph.open_camera()
        graph.send()
        assert graph.wait_for_messages('depth/color')[0].encoding == 'rgb8'
        assert graph.wait_for_messages('depth/image_rect')[0].encoding == '32FC1'


COMPRESSED_DEPTH = 'depth/image_rect/compressedDepth'


def test_g5_compressed_depth_is_published_to_image_transport_even_without_other_subscribers():
    with Graph(listen=(COMPRESSED_DEPTH,)) as graph:
        graph.open_camera()
        stamp = graph.send()
        message = graph.wait_for_messages(COMPRESSED_DEPTH)[0]
        assert (message.format, message.header.frame_id) == ('16UC1; compressedDepth png', 'left_camera_optical_frame')
        assert read_messages.stamp_ns(message.header.stamp) == stamp
        png = np.frombuffer(message.data, np.uint8)[12:]
        values = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        assert values.dtype == np.uint16 and values.shape == (48, 64)
        assert set(values.ravel()) == {round(DEPTH_M * 1000)}


def test_compressed_depth_is_only_computed_for_a_subscriber(monkeypatch):
    calls = []
    monkeypatch.setattr(outputs, 'compressed_depth', lambda depth_m: calls.append(depth_m) or compressed_depth(depth_m))
    with Graph(listen=('depth/image_rect',)) as graph:
        graph.open_camera()
        graph.send()
        assert graph.wait_for_messages('depth/image_rect') and not calls
        graph.listen(COMPRESSED_DEPTH)
        wait_for(lambda: graph.node._outputs._publishers[COMPRESSED_DEPTH].get_subscription_count())
        graph.send()
        assert graph.wait_for_messages(COMPRESSED_DEPTH) and len(calls) == 1


@pytest.mark.parametrize('encoding', ['nv12', 'nv21', 'i420'])
def test_yuv420_images_of_a_camera_are_used(encoding):
    estimator, frames = FakeEstimator(), []
    estimate = estimator.estimate
    estimator.estimate = lambda frame: frames.append(frame) or estimate(frame)
    planes = np.concatenate((np.full(48 * 64, 200, np.uint8), np.full(48 * 32, 128, np.uint8)))
    with Graph(make_estimator=lambda settings, watch: estimator) as graph:
        graph.open_camera()
        images = [
            Image(encoding=encoding, width=64, height=48, step=64, data=array.array('B', planes.tobytes()))
            for _ in ('left', 'right')
        ]
        graph.send(left=images[0], right=images[1])
        assert graph.wait_for_messages('depth/image_rect')
    np.testing.assert_allclose(frames[0].left, np.full((48, 64, 3), 214), atol=1)  # BT.601: 1.164 * (200 - 16)


def test_d5_without_a_listener_nothing_is_estimated_and_the_first_one_is_served_at_once():
    estimator = FakeEstimator()
    with Graph(make_estimator=lambda settings, watch: estimator, listen=()) as graph:
        graph.open_camera()
        graph.stream(10)
        account = graph.wait_until_settled()
        assert estimator.frames == 0
        assert account.dropped == {'no_subscriber': account.received} and account.received > 0
        graph.listen('depth/image_rect')
        wait_for(graph.node._outputs.has_subscribers)
        stamp = graph.send()
        assert read_messages.stamp_ns(graph.wait_for_messages('depth/image_rect')[0].header.stamp) == stamp


def test_only_what_is_listened_to_is_published():
    with Graph(listen=('depth/camera_info',)) as graph:
        graph.open_camera()
        graph.send()
        graph.wait_for_messages('depth/camera_info')
        graph.wait_until_settled()
        assert set(graph.received) <= {'depth/camera_info', '/diagnostics'}


def test_names_are_relative_to_the_namespace():
    with Graph(namespace='/robot1/front') as graph:
        graph.open_camera()
        graph.send()
        graph.wait_for_messages('depth/image_rect')
        assert graph.probe.count_publishers('/robot1/front/depth/image_rect') == 1
        wait_for(lambda: graph.received['/diagnostics'])
        assert graph.received['/diagnostics'][-1].status[0].name == 'robot1/front/stereo_depth: frames'


def test_clouds_for_a_navigation_stack_need_the_height_of_the_camera():
    topics = ('points', 'points_clear', 'scan')
    with Graph(listen=topics) as graph:
        graph.open_camera()
        graph.stream(3)
        assert 'set camera_height_m' in graph.wait_for_status('requires the height')[1]
        assert not graph.received['scan'] and not graph.received['points_clear']
        assert graph.set_parameters('stereo_depth', camera_height_m=0.5).successful
        graph.stream(3)
        scan = graph.wait_for_messages('scan')[-1]
        assert scan.header.frame_id == 'left_camera_frame' and len(scan.ranges) > 10
        assert scan.angle_max > 0 > scan.angle_min
        clear = graph.wait_for_messages('points_clear')[-1]
        assert clear.is_dense and clear.header.frame_id == 'left_camera_optical_frame'


def named(name):
    """Return arguments that name a node: of nodes with one name, rcl publishes the log of the first only on /rosout."""
    return ['--ros-args', '-r', f'__node:={name}']


@pytest.mark.slow
def test_a_topic_that_nobody_publishes_is_logged_once_with_the_similar_one_of_its_type():
    with Graph(listen=(), cli_args=named('without_topics')) as graph:
        logged = []
        graph.probe.create_subscription(Log, '/rosout', lambda log: logged.append(log.msg), 50)
        for side in ('left', 'right'):
            graph.publisher(Image, f'/camera/{side}/image_raw')
        graph.publisher(CameraInfo, 'left/camera_info').publish(CameraInfo())
        about = lambda role: [text for text in logged if text.startswith(f'no {role}: no publisher on')]  # noqa: E731
        wait_for(lambda: about('right camera_info'))
        time.sleep(2.0)
        assert ['/right/image_rect' in text for text in about('right image')] == [True]
        assert 'left_image_rect:=/camera/left/image_raw in ros2 launch' in about('left image')[0]
        assert '-r right/image_rect:=/camera/right/image_raw' in about('right image')[0]
        assert 'right_camera_info:=/left/camera_info' in about('right camera_info')[0]
        assert not about('left camera_info')  # it is published


@pytest.mark.slow
def test_a_topic_without_a_similar_one_says_that_there_is_none():
    with MonoGraph(
        {'model': 'x'}, lambda settings, watch: FakeEstimator(), listen=(), cli_args=named('without_image')
    ) as graph:
        logged = []
        graph.probe.create_subscription(Log, '/rosout', lambda log: logged.append(log.msg), 50)
        wait_for(lambda: any('no publisher on /image' in text for text in logged), what=lambda: f'{logged}')
        text = next(text for text in logged if 'no publisher on /image' in text)
        assert (
            'no other topic has the type sensor_msgs/msg/Image. Start the driver' in text
        )  # our own topics do not count
