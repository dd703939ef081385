"""`depth-ros doctor --node multiview_depth` on graphs whose poses have one fault each."""

import json
import threading
from contextlib import contextmanager

import pytest
from graph import MonoGraph
from nav_msgs.msg import Odometry

from depth_ros.cli.main import main
from depth_ros.ros.ros_messages import to_ros

pytestmark = [pytest.mark.ros, pytest.mark.slow]
EXTRINSICS = ['-p', 'extrinsics:=0.1 0 0.3 -1.5708 0 -1.5708']
SECONDS = 0.8


@contextmanager
def robot(child='base_link', every=1, late_s=0.0, w=1.0):
    """Run a camera with 20 Hz and odometry with every n-th image."""
    with MonoGraph(node=False, listen=()) as graph:
        stop = threading.Event()

        def publish():
            count = 0
            while not stop.is_set():
                stamp = graph.send()
                if every and count % every == 0:
                    head = to_ros.header(stamp - round(late_s * 1e9), 'odom')
                    message = Odometry(header=head, child_frame_id=child)
                    message.pose.pose.orientation.w = w
                    graph.publisher(Odometry, 'odom').publish(message)
                count += 1
                stop.wait(0.05)

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        try:
            yield graph
        finally:
            stop.set()
            thread.join(5)


def doctor(capsys, *arguments, seconds=SECONDS):
    code = main(['doctor', '--json', '--node', 'multiview_depth', '--seconds', str(seconds), *arguments])
    findings = json.loads(capsys.readouterr().out)['findings']
    return code, {f['check']: f for f in findings if f['level'] != 'ok'}, {f['check'] for f in findings}


def test_a_camera_with_odometry_has_no_fault(capsys):
    with robot():
        code, bad, checks = doctor(capsys, *EXTRINSICS)
    assert code == 0 and not bad
    assert {'pose_stamps', 'child_frame', 'mounting', 'camera_info', 'model'} <= checks


@pytest.mark.parametrize(
    ('fault', 'arguments', 'check', 'message'),
    [
        ({'every': 0}, EXTRINSICS, 'topic', 'no publisher (odometry)'),
        ({'child': ''}, [], 'child_frame', 'child_frame_id is empty'),
        (
            {},
            [],
            'mounting',
            "the camera 'left_camera_optical_frame' is not mounted on the child frame 'base_link' in tf",
        ),
        ({}, ['-p', 'pose_source:=tf'], 'mounting', "tf has no pose of the camera 'left_camera_optical_frame' in"),
        ({'late_s': 5.0}, EXTRINSICS, 'pose_stamps', 's apart (median); max_pose_age_s is 0.5'),
        ({'every': 8}, [*EXTRINSICS, '-p', 'max_pose_age_s:=0.1'], 'pose_rate', 's apart; max_pose_age_s is 0.1'),
        ({'w': 0.5}, EXTRINSICS, 'pose', 'the quaternion has the length 0.5'),
    ],
)
def test_each_fault_of_the_poses_is_reported_with_what_to_do(capsys, fault, arguments, check, message):
    with robot(**fault):
        code, bad, _ = doctor(capsys, *arguments, seconds=1.5 if 'every' in fault else SECONDS)
    assert code == 1 and bad[check]['level'] == 'fault', bad
    assert message in bad[check]['what'] and bad[check]['why'] and bad[check]['fix']
