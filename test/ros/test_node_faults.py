"""Bad input, time, load and middleware on a live graph: families A to E of the fault list."""

import time

import numpy as np
import pytest
import rclpy
from graph import Graph, wait_for
from rclpy.qos import QoSDurabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.messages import read_messages
from depth_ros.pipeline import stereo_estimator
from depth_ros.ros.diagnostics import ERROR, OK, WARN
from depth_ros.ros.ros_messages import to_ros

pytestmark = [pytest.mark.ros, pytest.mark.slow]
S = 1_000_000_000
DEPTH = 'depth/image_rect'


def good_frame_works(graph):
    """G5: after a fault, the next good frame gives depth."""
    before = len(graph.received[DEPTH])
    stamp = graph.send()
    got = graph.wait_for_messages(DEPTH, before + 1)
    assert read_messages.stamp_ns(got[-1].header.stamp) == stamp
    account = graph.wait_until_settled()
    assert account.received == account.published + sum(account.dropped.values())


def cut_short(graph, head):
    message = graph.image(head)
    message.data = message.data[:-1]
    return message


def foreign_encoding(graph, head):
    message = graph.image(head)
    message.encoding = 'foo'
    return message


def empty(graph, head):
    return Image(header=head, encoding='mono8')


def other_size(graph, head):
    return graph.image(head, np.zeros((24, 64), np.uint8))


@pytest.mark.parametrize(
    ('make', 'reason', 'words'),
    [
        (cut_short, 'bad_image', 'The message is truncated'),
        (foreign_encoding, 'bad_image', "encoding 'foo' is not supported"),
        (empty, 'bad_image', 'is empty'),
        (other_size, 'bad_image', 'expected the same size'),
    ],
)
def test_a_bad_image_is_one_counted_drop_with_words_and_the_next_good_frame_works(make, reason, words):
    with Graph() as graph:
        graph.open_camera()
        good_frame_works(graph)
        graph.send(right=make(graph, graph.head()))
        wait_for(lambda: graph.node.accounting.counts().dropped.get(reason) == 1)
        level, _, _ = graph.wait_for_status(words)
        assert level == WARN
        good_frame_works(graph)
        assert graph.wait_for_status('Hz')[0] == OK


def test_a8_every_result_matches_its_own_frame_when_the_resolution_changes():
    with Graph() as graph:
        graph.open_camera()
        for width, height in [(64, 48), (128, 72), (65, 49), (64, 48)]:
            from scenes import calibrations

            graph.width, graph.height = width, height
            graph.infos = dict(zip(('left', 'right'), calibrations(width, height, focal=5.0 * width), strict=True))
            for _ in range(5):
                good_frame_works(graph)
                depth, info = (
                    graph.received[DEPTH][-1],
                    graph.wait_for_messages('depth/camera_info', len(graph.received[DEPTH]))[-1],
                )
                assert (depth.width, depth.height) == (info.width, info.height) == (width, height)
                assert info.k[0] == 5.0 * width


def test_a9_the_encoding_may_change_and_colours_stay_in_their_channels():
    with Graph({'cloud_rate_hz': 0.0, 'cloud_organized': True}) as graph:
        graph.open_camera()
        red = np.zeros((48, 64, 3), np.uint8)
        red[..., 0] = 200
        for encoding, pixels in (('rgb8', red), ('bgr8', red[..., ::-1]), ('mono8', red[..., 0])):
            before = len(graph.received['points'])
            head = graph.head()
            graph.send(left=graph.image(head, pixels, encoding), right=graph.image(head, pixels, encoding))
            cloud = graph.wait_for_messages('points', before + 1)[-1]
            packed = np.frombuffer(cloud.data, np.uint32).reshape(-1, 4)[0, 3]
            assert packed == (0xC8C8C8 if encoding == 'mono8' else 0xC80000)


def test_b1_without_camera_info_nothing_metric_leaves_and_diagnostics_name_the_topic():
    with Graph() as graph:
        graph.open_camera()
        graph.stream(5, infos=False)
        level, words, _ = graph.wait_for_status('no camera_info on /left/camera_info')
        assert level == WARN, words
        assert not graph.received[DEPTH] and not graph.received['points']
        good_frame_works(graph)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'k': [0.0] * 9, 'p': [0.0] * 12}, 'uncalibrated'),
        ({'p': [float('nan')] * 12}, 'expected finite'),
        ({'width': 128}, 'camera_info describes 128x48'),
        (
            {'p': [300.0, 0.0, 32.0, 0.0, 0.0, 300.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]},
            'impossible without a baseline',
        ),  # B7: no baseline
    ],
)
def test_b2_b3_b7_a_bad_calibration_stops_metres_until_it_is_good_again(changes, words):
    with Graph() as graph:
        graph.open_camera()
        graph.send(**changes)
        graph.wait_for_status(words)
        assert graph.node.accounting.counts().dropped == {'bad_camera_info': 1}
        assert not graph.received[DEPTH]
        good_frame_works(graph)


def test_b4_a_frame_uses_the_calibration_of_its_stamp():
    from scenes import calibrations

    with Graph() as graph:
        graph.open_camera()
        for focal in (300.0, 310.0, 320.0, 300.0):
            graph.infos = dict(zip(('left', 'right'), calibrations(64, 48, focal=focal), strict=True))
            good_frame_works(graph)
            depth = np.frombuffer(graph.received[DEPTH][-1].data, np.float32)
            np.testing.assert_allclose(depth, focal * 0.1 / 16.0, rtol=1e-6)


def test_a_calibration_that_is_published_once_serves_all_frames():
    with Graph() as graph:
        graph.open_camera()
        for side in ('left', 'right'):
            info = to_ros.calibration(graph.infos[side], graph.head())
            graph.publisher(CameraInfo, f'{side}/camera_info').publish(info)
        graph.stream(10, infos=False)
        graph.wait_for_messages(DEPTH, 3)


def test_b6_the_frame_of_the_image_is_used_and_a_difference_is_reported():
    with Graph() as graph:
        graph.open_camera()
        head = graph.head()
        for side in ('left', 'right'):
            info = to_ros.calibration(graph.infos[side], to_ros.header(read_messages.stamp_ns(head.stamp), 'elsewhere'))
            graph.publisher(CameraInfo, f'{side}/camera_info').publish(info)
            graph.publisher(Image, f'{side}/image_rect').publish(graph.image(head))
        assert graph.wait_for_messages(DEPTH)[0].header.frame_id == 'left_camera_optical_frame'


def test_c1_zero_stamps_are_refused_with_advice_unless_configured():
    with Graph() as graph:
        graph.open_camera()
        graph.send(stamp_ns=0)
        graph.wait_for_status('accept_zero_stamps: true')
        assert graph.node.accounting.counts().dropped == {'zero_stamp': 1}
        assert graph.set_parameters(accept_zero_stamps=True).successful
        graph.send(stamp_ns=0)
        graph.wait_for_messages(DEPTH)


def test_c2_a_looping_bag_goes_on_at_once():
    with Graph() as graph:
        graph.open_camera()
        for loop in range(3):
            for i in range(1, 11):
                graph.send(stamp_ns=100 * S + i * S)
                graph.wait_for_messages(DEPTH, loop * 10 + i)
        assert graph.wait_until_settled().dropped == {}


def test_c3_without_a_clock_simulated_time_stops_neither_depth_nor_diagnostics():
    with Graph({'use_sim_time': True}) as graph:
        graph.open_camera()
        graph.stream(5, stamp_ns=5 * S, rate_hz=20)
        graph.wait_for_messages(DEPTH)
        before = len(graph.received['/diagnostics'])
        wait_for(lambda: len(graph.received['/diagnostics']) > before + 2)


def test_c5_diagnostics_say_which_side_is_missing():
    with Graph() as graph:
        graph.open_camera()
        for _ in range(30):
            head = graph.head()
            graph.publisher(Image, 'left/image_rect').publish(graph.image(head))
            graph.publisher(CameraInfo, 'left/camera_info').publish(to_ros.calibration(graph.infos['left'], head))
            time.sleep(0.1)
        graph.wait_for_status('no right image on /right/image_rect')
        good_frame_works(graph)


def test_c6_the_skew_is_reported():
    with Graph({'max_skew_ms': 12.0}) as graph:
        graph.open_camera()
        graph.send(skew_ns=10_000_000)
        graph.wait_for_messages(DEPTH)
        graph.wait_for_status('')
        wait_for(lambda: graph.status()[2]['mean_skew_ms'] == '10.000')


def test_c6_a_pair_too_far_apart_is_reported_with_its_skew():
    with Graph() as graph:
        graph.open_camera()
        graph.stream(40, rate_hz=20, skew_ns=20_000_000)
        _, words, _ = graph.wait_for_status('max_skew_ms')
        assert '20.0 ms' in words
        assert not graph.received[DEPTH]


def test_c7_old_frames_are_dropped_when_a_limit_is_set():
    with Graph({'max_age_s': 0.5}) as graph:
        graph.open_camera()
        graph.send(stamp_ns=graph.probe.get_clock().now().nanoseconds - 5 * S)
        wait_for(lambda: graph.node.accounting.counts().dropped == {'stale': 1})
        good_frame_works(graph)


def test_d1_a_fast_camera_and_a_slow_estimator_keep_the_age_bounded():
    with Graph(make_estimator=lambda settings, watch: FakeEstimator(latency_s=0.2)) as graph:
        graph.open_camera()
        started_s = time.monotonic()
        graph.stream(400, rate_hz=100.0)
        account = graph.wait_until_settled()
        streamed_s = time.monotonic() - started_s
        assert account.received == account.published + account.dropped['superseded'] > 200
        ages = [
            arrived - read_messages.stamp_ns(m.header.stamp) / 1e9 + time.time() - time.monotonic()
            for arrived, m in zip(graph.arrived_s[DEPTH], graph.received[DEPTH], strict=True)
        ]
        assert 14 <= len(ages) <= 5 * streamed_s + 1  # about five a second
        assert max(ages[2:]) < 0.6 and np.median(ages[-5:]) < np.median(ages[2:7]) + 0.1  # and none grows older


def test_d3_services_answer_while_the_estimator_is_stuck_and_diagnostics_say_so():
    estimator = FakeEstimator(latency_s=6.0)
    with Graph({'estimate_timeout_s': 0.5}, make_estimator=lambda settings, watch: estimator) as graph:
        graph.open_camera()
        graph.send()
        wait_for(lambda: estimator.frames == 1)
        level, _, _ = graph.wait_for_status('processing one frame')
        assert level == ERROR
        assert graph.get_parameter('quality').string_value == 'balanced'


def test_d6_a_large_image_is_made_into_a_message_without_a_python_loop():
    picture = np.zeros((1080, 1920, 3), np.uint8)
    started = time.perf_counter()
    to_ros.image(picture, 'rgb8', to_ros.header(1, 'camera'))
    assert time.perf_counter() - started < 0.5  # not a benchmark: byte by byte takes seconds


def test_d9_many_valid_and_invalid_parameter_changes_leave_consistent_settings():
    with Graph({'range_min_m': 0.5, 'range_max_m': 40.0}) as graph:
        graph.open_camera()
        refused = 0
        for i in range(150):
            if i % 10 == 0:
                graph.send()
            near = float(i % 5)  # 0.0 is out of range: every fifth is refused
            result = graph.set_parameters(range_min_m=near, range_max_m=near + 10.0)
            refused += not result.successful
        assert refused == 30
        good_frame_works(graph)
        assert graph.get_parameter('range_min_m').double_value == 4.0


@pytest.mark.parametrize('reliability', ['reliable', 'best_effort'])
@pytest.mark.parametrize('durability', [QoSDurabilityPolicy.VOLATILE, QoSDurabilityPolicy.TRANSIENT_LOCAL])
def test_e1_every_publisher_connects(reliability, durability):
    with Graph(reliability=reliability) as graph:
        graph.publisher_durability = durability
        publisher = graph.publisher

        graph.publisher = lambda kind, topic: publisher(kind, topic, durability)
        graph.open_camera()
        wait_for(lambda: graph.send() and graph.received[DEPTH])

        def adopted():
            infos = graph.probe.get_subscriptions_info_by_topic('/left/image_rect')
            return [info.qos_profile.reliability.name for info in infos] == [reliability.upper()]

        wait_for(adopted)


def test_e1_an_incompatible_policy_is_named():
    overrides = {'qos_overrides./left/image_rect.subscription.reliability': 'reliable'}
    with Graph(overrides, reliability='best_effort') as graph:
        graph.publisher(Image, 'left/image_rect')
        level, words, _ = graph.wait_for_status('reliability')
        assert level == ERROR and '/left/image_rect' in words


def test_e1_bytes_that_are_no_message_and_publishers_of_another_type_do_no_harm():
    with Graph() as graph:
        graph.open_camera()
        good_frame_works(graph)
        whole = serialize_message(graph.image(graph.head()))
        encapsulations = [bytes([0, kind]) + whole[2:] for kind in (0, 2, 3, 6, 7, 9, 255)]  # 0 is big endian
        cut = [whole[:length] for length in (0, 1, 2, 3, 4, 5, 40, len(whole) // 2, len(whole) - 1)]
        huge_strings = [whole[:4] + b'\xff' * 40 + whole[44:], np.random.default_rng(0).bytes(1000)]
        for sample in (*encapsulations, *cut, *huge_strings):
            graph.publisher(Image, 'left/image_rect').publish(sample)
            graph.publisher(CameraInfo, 'left/camera_info').publish(sample)
            time.sleep(0.01)
        good_frame_works(graph)
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=graph.domain)
        alien = rclpy.create_node('alien', context=context)
        publisher = alien.create_publisher(String, 'left/image_rect', 10)
        for _ in range(10):
            publisher.publish(String(data='no image'))
            time.sleep(0.01)
        good_frame_works(graph)
        alien.destroy_node()
        context.shutdown()


def test_e2_a_camera_that_returns_with_other_qos_and_size_is_used_again():
    from scenes import calibrations

    with Graph() as graph:
        graph.open_camera()
        good_frame_works(graph)
        graph.close_camera()
        from rclpy.qos import QoSReliabilityPolicy

        graph.reliability = QoSReliabilityPolicy.BEST_EFFORT
        graph.width, graph.height = 96, 64
        graph.infos = dict(zip(('left', 'right'), calibrations(96, 64), strict=True))
        wait_for(lambda: graph.send() and graph.received[DEPTH][-1].width == 96)


def test_e6_a_failing_stage_is_a_counted_drop_and_after_100_in_a_row_an_error():
    made = []

    def make(settings, watch):
        made.append(FakeEstimator(fail_at=(lambda n: n < 1) if made else (lambda n: True)))
        return made[-1]

    with Graph(make_estimator=make) as graph:
        graph.open_camera()
        for i in range(101):
            graph.send()
            wait_for(lambda i=i: graph.node.accounting.counts().dropped.get('estimator_failed') == i + 1)
        level, words, _ = graph.wait_for_status('consecutive frames failed')
        assert level == ERROR and 'simulated failure' in words
        assert len(made) == 2  # it was built again
        good_frame_works(graph)
        assert graph.wait_for_status('Hz')[0] == OK


def test_e6_an_unexpected_exception_is_a_counted_drop_too():
    class Broken(FakeEstimator):
        def estimate(self, frame):
            if self.frames == 0:
                self.frames += 1
                raise ZeroDivisionError('bug')
            return super().estimate(frame)

    broken = Broken()
    with Graph(make_estimator=lambda settings, watch: broken) as graph:
        graph.open_camera()
        graph.send()
        graph.wait_for_status('ZeroDivisionError: bug')
        good_frame_works(graph)


def test_a11_frames_without_texture_pass_through_the_real_estimator():
    with Graph(make_estimator=stereo_estimator) as graph:
        graph.open_camera()
        for value in (0, 128, 255):
            head = graph.head()
            flat = np.full((48, 64), value, np.uint8)
            graph.send(left=graph.image(head, flat), right=graph.image(head, flat))
        graph.wait_until_settled()
        assert 'estimator_failed' not in graph.node.accounting.counts().dropped
