"""Poses of the camera from odometry and from tf, compared with the camera of the simulator."""

import math
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.cli.demo_mono import EXTRINSICS
from depth_ros.geometry import precise_pose_matrix, quaternion_of
from depth_ros.messages.camera_poses import OdometryPoses, TfPoses, mount_of
from depth_ros.multiview.pose_track import PoseFault, TrackedPose
from depth_ros.sim.render import RobotMount, _camera_pose
from depth_ros.sim.world import PlanarPose

MOUNT = mount_of(EXTRINSICS)


def nothing(target, source, stamp_ns):
    return None


def odometry(stamp_ns=0, x=0.0, y=0.0, yaw=0.0, child='base_link', w=None):
    position = SimpleNamespace(x=x, y=y, z=0.0)
    rotation = SimpleNamespace(x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2) if w is None else w)
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id='odom'),
        child_frame_id=child,
        pose=SimpleNamespace(pose=SimpleNamespace(position=position, orientation=rotation)),
    )


def test_odometry_and_the_mounting_of_the_demo_give_the_pose_of_the_simulated_camera():
    poses = OdometryPoses(MOUNT, nothing)
    poses.add(odometry(5, 1.5, -0.7, 2.1))
    position, rotation = _camera_pose(PlanarPose(1.5, -0.7, 2.1), RobotMount(0.5))
    pose = poses.at(5, 'camera').pose
    np.testing.assert_allclose(pose[:3, 3], position, atol=1e-6)
    np.testing.assert_allclose(pose[:3, :3], rotation, atol=1e-6)


def test_the_mounting_comes_from_tf_unless_the_odometry_is_that_of_the_camera():
    asked = []

    def transform(target, source, stamp_ns):
        asked.append((target, source))
        return MOUNT.astype(np.float32) if target == 'base_link' else None

    poses = OdometryPoses(None, transform)
    assert poses.at(5, 'camera') == 'no valid pose was received'
    poses.add(odometry(5, child='/base_link'))
    np.testing.assert_allclose(poses.at(5, 'camera').pose, MOUNT, atol=1e-6)
    poses.add(odometry(6, child='camera', x=3.0))
    assert poses.at(6, 'camera').pose[0, 3] == 3.0 and poses.at(6, 'camera').segment == 1
    poses.add(odometry(7, child='arm'))
    assert "'camera' in the child frame 'arm' of the odometry is unknown" in poses.at(7, 'camera')
    assert set(asked) == {('base_link', 'camera'), ('arm', 'camera')}


def test_problems_are_reported_with_their_values():
    said = {}
    poses = OdometryPoses(MOUNT, nothing, said.__setitem__)
    poses.add(odometry(5, w=0.2, yaw=0.5))
    assert 'quaternion (0, 0, 0.247404, 0.2) of length 0.318; expected' in said[PoseFault.INVALID]
    poses.add(odometry(5))
    poses.add(odometry(6, x=5.0))
    assert 'the pose jumped' in said[PoseFault.POSE_JUMP] and poses.track.faults[PoseFault.POSE_JUMP] == 1


def test_tf_gives_the_pose_of_the_camera_and_its_jumps_are_found():
    known = {0: MOUNT, 10**8: MOUNT, 2 * 10**8: MOUNT.copy(), 3 * 10**8: np.full((4, 4), np.nan)}
    known[2 * 10**8][0, 3] = 9.0
    said = []
    poses = TfPoses('odom', lambda target, source, stamp: known.get(stamp), lambda kind, text: said.append(kind))
    np.testing.assert_allclose(poses.at(0, 'camera').pose, MOUNT, atol=1e-9)
    assert poses.at(10**8, 'camera').segment == 0 and poses.at(2 * 10**8, 'camera').segment == 1
    assert isinstance(poses.at(3 * 10**8, 'camera'), str)  # not a number
    assert "no transform from the camera 'camera' to fixed_frame 'odom'" in poses.at(7, 'camera')
    assert said == [PoseFault.POSE_JUMP, PoseFault.INVALID]
    assert isinstance(poses.at(0, 'camera'), TrackedPose)


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1))
def test_the_quaternion_of_a_rotation_gives_the_rotation(values):
    q = tuple(each / math.hypot(*values) for each in values)
    rotation = precise_pose_matrix((0.0, 0.0, 0.0), q)[:3, :3]
    found = quaternion_of(rotation)
    np.testing.assert_allclose(precise_pose_matrix((0.0, 0.0, 0.0), found)[:3, :3], rotation, atol=1e-9)
