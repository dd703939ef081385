"""The ``multiview_depth`` node on a live graph: poses, motion, held depth, and inputs that are wrong."""

import math
import sys
import time
import types
from dataclasses import replace

import numpy as np
import pytest
from graph import NOW, MonoGraph, wait_for
from nav_msgs.msg import Odometry

from depth_ros.estimators.fake_estimator import FakeMultiviewEstimator
from depth_ros.messages import read_messages
from depth_ros.ros.diagnostics import ERROR, OK, WARN
from depth_ros.ros.multiview_node import MultiviewDepthNode
from depth_ros.ros.ros_messages import to_ros
from depth_ros.stages.intrinsics import rectified_camera

pytestmark = pytest.mark.ros
DEPTH, CONFIDENCE = 'depth/image_rect', 'confidence'
FORWARD = '0.2 0 0.3 -1.5707963 0 -1.5707963'
PERIOD_NS = 33_000_000


def floats(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


class MovingGraph(MonoGraph):
    """A camera on a robot that drives along y of ``odom``, sideways for the camera, and a ``multiview_depth`` node."""

    node_kind = MultiviewDepthNode

    def __init__(self, listen=(DEPTH, CONFIDENCE, 'keyframes'), **parameters):
        self.estimator = FakeMultiviewEstimator()
        values = {'extrinsics': FORWARD, **parameters}
        values = {name.replace('__', '.'): value for name, value in values.items()}
        super().__init__(values, lambda settings, watch: self.estimator, listen)
        self.y = self.yaw = 0.0

    def open(self):
        self.open_camera()
        odometry = self.publisher(Odometry, 'odom')
        wait_for(lambda: self.is_subscribed(odometry))

    def pose(self, stamp_ns, child='base_link', **changes):
        """Publish the odometry; ``changes`` are fields of position and orientation."""
        message = Odometry(header=to_ros.header(stamp_ns, 'odom'), child_frame_id=child)
        position, rotation = message.pose.pose.position, message.pose.pose.orientation
        position.y, rotation.z, rotation.w = self.y, math.sin(self.yaw / 2), math.cos(self.yaw / 2)
        for name, value in changes.items():
            setattr(rotation if name in ('w',) else position, name, value)
        self.publisher(Odometry, 'odom').publish(message)

    def drive(self, step_m=0.02, turn=0.0, odometry=True, stamp_ns=NOW, **pose):
        """Move by one step, and publish odometry and an image of the same stamp."""
        self.y, self.yaw = self.y + step_m, self.yaw + turn
        stamp = self.probe.get_clock().now().nanoseconds if stamp_ns == NOW else stamp_ns
        if odometry:
            self.pose(stamp, **pose)
        self.send(stamp)
        time.sleep(PERIOD_NS / 1e9)
        return stamp

    def drive_until(self, condition, what, timeout_s=10.0, **step):
        wait_for(lambda: self.drive(**step) and condition(), timeout_s, what)

    def drive_until_depth(self, more=1, **step):
        before = len(self.received[DEPTH])
        self.drive_until(
            lambda: len(self.received[DEPTH]) >= before + more,
            lambda: f'no depth: {self.status() if self.received["/diagnostics"] else ""}',
            **step,
        )

    def values(self):
        return self.status()[2] if self.received['/diagnostics'] else {}

    def drive_until_status(self, words, **step):
        self.drive_until(
            lambda: self.received['/diagnostics'] and words in self.status()[1],
            lambda: f"'{words}' not in {self.status()}",
            **step,
        )
        return self.status()


def test_depth_is_measured_while_the_camera_moves_and_the_state_says_what_motion_allows():
    with MovingGraph(keyframe_max_age_s=1.0) as graph:
        graph.open()
        graph.drive_until_depth(3)
        depth = graph.received[DEPTH][-1]
        np.testing.assert_array_equal(floats(depth), 2.0)
        reference, sources = graph.estimator.calls[-1]
        assert read_messages.stamp_ns(depth.header.stamp) <= reference.stamp_ns and sources
        # The optical frame of a camera that looks along x of base_link: z forward, x to the right.
        np.testing.assert_allclose(reference.pose[:3, 2], [1, 0, 0], atol=1e-6)
        np.testing.assert_allclose(reference.pose[:3, 3], [0.2, reference.pose[1, 3], 0.3], atol=1e-6)
        assert 0.03 < reference.pose[1, 3] - sources[0].pose[1, 3] < 0.6
        # The robot drives to the left of the camera: earlier images are to the right of the newest one.
        keyframes = graph.wait_for_messages('keyframes', 3)[-1]
        assert keyframes.header.frame_id == depth.header.frame_id and keyframes.poses
        first = keyframes.poses[0]
        assert first.position.x > 0.05 and abs(first.position.z) < 1e-6 and first.orientation.w == pytest.approx(1)
        graph.drive_until(lambda: graph.values().get('motion.state') == 'moving', graph.status)
        assert graph.status()[0] == OK
        level, _, values = graph.drive_until_status('too little motion', step_m=0.0)
        assert level == WARN and values['motion.state'] == 'too little motion'
        before = len(graph.received[DEPTH])
        for _ in range(5):
            graph.drive(step_m=0.0)
        assert len(graph.received[DEPTH]) == before
        graph.drive_until_status('rotating: the camera turns', step_m=0.0, turn=0.01)
        graph.drive_until_depth()
        counts = graph.wait_until_settled()
        assert counts.dropped['no_parallax'] >= 5
        assert counts.received == counts.published + sum(counts.dropped.values())


def test_held_depth_is_published_with_half_the_confidence_while_the_camera_stands():
    with MovingGraph(hold=True, keyframe_max_age_s=1.0) as graph:
        graph.open()
        graph.drive_until_depth()
        graph.drive_until(lambda: graph.values().get('motion.held') == 'true', graph.status, step_m=0.0)
        assert 'the published depth was measured earlier' in graph.drive_until_status('measured earlier', step_m=0)[1]
        np.testing.assert_allclose(floats(graph.received[DEPTH][-1]), 2.0, rtol=1e-5)
        np.testing.assert_allclose(floats(graph.received[CONFIDENCE][-1]), 0.4, rtol=1e-5)


def test_an_image_waits_for_slower_odometry_and_is_dropped_without_a_pose_after_the_limit():
    with MovingGraph(max_pose_age_s=0.3) as graph:
        graph.open()
        count = iter(range(10**6))
        wait_for(lambda: graph.drive(odometry=next(count) % 4 == 0) and len(graph.received[DEPTH]) > 3)
        ys = [reference.pose[1, 3] for reference, _ in graph.estimator.calls]
        assert np.diff(ys).min() > 0.005  # interpolated, not those of the last message
        level, words, _ = graph.drive_until_status('pose lost', odometry=False)
        assert level == WARN and 'the newest pose is' in words and 'older than the image' in words
        wait_for(lambda: graph.values().get('motion.state') == 'pose lost')
        graph.drive_until_depth()
        counts = graph.wait_until_settled()
        assert counts.dropped['no_pose'] > 0
        assert counts.received == counts.published + sum(counts.dropped.values())
        wait_for(lambda: graph.drive() and int(graph.values().get('poses.gap', 0)) > 0)


@pytest.mark.parametrize(
    ('fault', 'spoil'),
    [
        ('invalid', {'x': math.nan}),
        ('invalid', {'w': 0.5}),
        ('pose_jump', {'x': 3.0}),
    ],
)
def test_a_wrong_pose_is_counted_and_reported_and_the_next_good_frames_are_used(fault, spoil):
    with MovingGraph() as graph:
        graph.open()
        logged = []
        report = graph.node._throttled_log.report
        graph.node._throttled_log.report = lambda kind, text: logged.append(text) or report(kind, text)
        graph.drive_until_depth()
        graph.drive_until(lambda: int(graph.values().get(f'poses.{fault}', 0)) > 0, graph.status, **spoil)
        words = 'expected finite numbers' if fault == 'invalid' else 'the pose jumped (loop closure'
        assert any(words in text for text in logged)
        graph.drive_until_depth()
        if fault == 'pose_jump':
            wait_for(lambda: graph.drive() and int(graph.values().get('motion.restarts', 0)) > 0)


def test_time_that_goes_back_and_a_new_calibration_start_anew():
    with MovingGraph() as graph:
        graph.open()
        graph.drive_until_depth()
        start = graph.probe.get_clock().now().nanoseconds - 60 * 10**9  # a recording that starts again
        stamps = (start + i * PERIOD_NS for i in range(10**6))
        before = len(graph.received[DEPTH])
        wait_for(lambda: graph.drive(stamp_ns=next(stamps)) and len(graph.received[DEPTH]) > before + 1)
        wait_for(lambda: graph.drive(stamp_ns=next(stamps)) and int(graph.values().get('poses.time_jump', 0)) == 1)
        restarts = int(graph.values().get('motion.restarts', 0))
        camera = rectified_camera(graph.infos['left'], graph.width, graph.height)
        zoomed = replace(camera, fx=1.5 * camera.fx, fy=1.5 * camera.fy)
        graph.infos['left'] = read_messages.calibration(to_ros.camera_info(zoomed, to_ros.header(0, '')))
        wait_for(
            lambda: graph.drive(stamp_ns=next(stamps)) and int(graph.values().get('motion.restarts', 0)) > restarts
        )
        calls = len(graph.estimator.calls)
        wait_for(lambda: graph.drive(stamp_ns=next(stamps)) and len(graph.estimator.calls) > calls + 1)
        reference, sources = graph.estimator.calls[-1]
        assert {source.camera.fx for source in sources} == {reference.camera.fx}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('child', 'words'),
    [
        ('no_such_link', "'left_camera_optical_frame' in the child frame 'no_such_link' of the odometry is unknown"),
        ('', "in the child frame '' of the odometry is unknown: set extrinsics"),
    ],
)
def test_a_child_frame_on_which_the_camera_is_not_mounted_is_reported(child, words):
    with MovingGraph(extrinsics='', max_pose_age_s=0.1) as graph:
        graph.open()
        assert words in graph.drive_until_status('pose lost', child=child)[1]
        graph.drive_until_depth(child='left_camera_optical_frame')  # odometry of the camera itself
        assert int(graph.values().get('poses.frame_changed', 1)) == 1


class FakeTf:
    """A stand-in for tf2_ros: a camera that moves sideways by 0.6 m per second, in the frame ``odom``."""

    class TransformException(Exception):
        pass

    def __init__(self):
        self.newest_ns = 2**62

    def Buffer(self):  # noqa: N802
        return self

    def TransformListener(self, buffer, node):  # noqa: N802
        return self

    def lookup_transform(self, target, source, time):
        stamp = time.nanoseconds
        if (target, source) != ('odom', 'left_camera_optical_frame') or not 0 < stamp <= self.newest_ns:
            raise self.TransformException
        translation = types.SimpleNamespace(x=0.6 * (stamp % 10**12) / 1e9, y=0.0, z=0.0)
        rotation = types.SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)
        return types.SimpleNamespace(transform=types.SimpleNamespace(translation=translation, rotation=rotation))


def test_poses_from_tf_are_those_at_the_stamp_and_a_missing_frame_is_reported(monkeypatch):
    tf = FakeTf()
    monkeypatch.setitem(sys.modules, 'tf2_ros', tf)
    with MovingGraph(pose_source='tf', extrinsics='', max_pose_age_s=0.2) as graph:
        graph.open_camera()
        graph.drive_until_depth(2, odometry=False)
        reference, _ = graph.estimator.calls[-1]
        assert reference.pose[0, 3] == pytest.approx(0.6 * (reference.stamp_ns % 10**12) / 1e9, abs=1e-9)
        tf.newest_ns = 1  # tf stops
        assert 'tf has no transform' in graph.drive_until_status('pose lost', odometry=False)[1]
        tf.newest_ns = 2**62
        graph.drive_until_depth(odometry=False)


@pytest.mark.slow
def test_settings_that_cannot_give_depth_fail_configure_and_a_missing_odometry_is_reported():
    with MovingGraph(extrinsics='1 2 3') as graph:
        level, words, _ = graph.wait_for_status('cannot configure')
        assert level == ERROR and "extrinsics is '1 2 3'; expected six numbers" in words
    with MovingGraph() as graph:
        graph.open_camera()
        assert 'no odometry: no publisher on /odom' in graph.drive_until_status('no odometry', odometry=False)[1]


@pytest.mark.slow
def test_the_lifecycle_starts_with_new_keyframes_after_each_activation():
    with MovingGraph() as graph:
        graph.open()
        graph.drive_until_depth()
        assert graph.change_state('deactivate', 'multiview_depth') and graph.change_state('activate', 'multiview_depth')
        graph.drive_until_depth()
        assert graph.change_state('deactivate', 'multiview_depth') and graph.change_state('cleanup', 'multiview_depth')
        counts = graph.node.accounting.counts()
        assert counts.received == counts.published + sum(counts.dropped.values()) and counts.in_flight == 0
