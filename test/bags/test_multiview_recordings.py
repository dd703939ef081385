"""`depth-ros bag process --node multiview_depth`: poses from the odometry or the tf of a recording."""

import json
import math

import numpy as np
import pytest
from bag_files import BUILDER, SIZE, BagWriter, image, info, make, read, transform
from scenes import calibrations

from depth_ros.bags.recorded_transforms import RecordedTransforms
from depth_ros.cli.main import main
from depth_ros.estimators.fake_estimator import FakeMultiviewEstimator
from depth_ros.geometry import parse_pose

STEP_NS = 100_000_000
STEP_M = 0.06
MOUNT = (0.2, 0.0, 0.3)
OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # z forward, x to the right
EXTRINSICS = '0.2 0 0.3 -1.5707963 0 -1.5707963'
SIDE = math.sqrt(0.5)
"""The robot faces along y of ``odom`` and drives along x, sideways for the camera."""


def odometry(stamp, x, length=1.0, child='base_link'):
    def covariance(kind, **values):
        return make(f'geometry_msgs/msg/{kind}WithCovariance', covariance=np.zeros(36), **values)

    position = make('geometry_msgs/msg/Point', x=x, y=0.0, z=0.0)
    rotation = make('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=length * SIDE, w=length * SIDE)
    zero = make('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
    return make(
        'nav_msgs/msg/Odometry', header=BUILDER.header(stamp, 'odom'), child_frame_id=child,
        pose=covariance('Pose', pose=make('geometry_msgs/msg/Pose', position=position, orientation=rotation)),
        twist=covariance('Twist', twist=make('geometry_msgs/msg/Twist', linear=zero, angular=zero)),
    )  # fmt: skip


def drive(path, poses='odometry', spoil=lambda i: {}, static=True, images=10):
    """Write a recording of a camera that moves sideways; poses are half a step apart from the images."""
    calibration, _ = calibrations(SIZE[1], SIZE[0])
    camera = info(calibration, 0).header.frame_id
    with BagWriter(path) as bag:
        if static:
            bag.add('/tf_static', transform('base_link', camera, 0, MOUNT, OPTICAL), 1)
        for i in range(images):
            stamp = (i + 10) * STEP_NS
            bag.add('/camera_info', info(calibration, stamp), stamp)
            bag.add('/image', image(np.full(SIZE, 9, np.uint8), stamp), stamp)
            at, x = stamp + STEP_NS // 2, (i + 0.5) * STEP_M
            if poses == 'odometry':
                bag.add('/odom', odometry(at, **{'x': x, **spoil(i)}), at)
            else:
                bag.add('/tf', transform('odom', 'base_link', at, (x, 0.0, 0.0), (0.0, 0.0, SIDE, SIDE)), at)
    return path


def process(tmp_path, monkeypatch, source, *arguments):
    """Run the command; return exit code and estimator."""
    fake = FakeMultiviewEstimator()
    monkeypatch.setattr('depth_ros.bags.bag_cameras.multiview_estimator', lambda settings: fake)
    command = ['bag', 'process', str(source), str(tmp_path / 'out'), '--node', 'multiview_depth', '--json']
    return main([*command, *arguments]), fake


@pytest.mark.parametrize(
    ('poses', 'arguments'),
    [
        ('odometry', ['-p', f'extrinsics:={EXTRINSICS}']),
        ('odometry', []),  # mounting from tf_static
        ('tf', ['-p', 'pose_source:=tf']),
    ],
)
def test_depth_is_computed_with_the_recorded_poses(tmp_path, monkeypatch, capsys, poses, arguments):
    code, fake = process(tmp_path, monkeypatch, drive(tmp_path / 'in', poses), '--keep-inputs', *arguments)
    report = json.loads(capsys.readouterr().out)
    # The first image is before the first pose; the next one has nothing to be compared with.
    assert code == 0 and report['dropped'] == {'no_pose': 1, 'no_parallax': 1} and report['written'] == 8
    for reference, _ in fake.calls:
        x = (reference.stamp_ns / STEP_NS - 10) * STEP_M
        np.testing.assert_allclose(reference.pose[:3, 3], [x, 0.2, 0.3], atol=1e-6)
        np.testing.assert_allclose(reference.pose[:3, 2], [0, 1, 0], atol=1e-6)
    found = read(tmp_path / 'out')
    assert len(found['/depth/image_rect']) == 8 and ('/odom' in found) == (poses == 'odometry')


def test_wrong_poses_are_remarks_and_the_other_images_are_used(tmp_path, monkeypatch, capsys):
    def spoil(i):
        return {'length': 0.7} if i == 3 else {'x': 5.0} if i > 7 else {}

    code, fake = process(
        tmp_path, monkeypatch, drive(tmp_path / 'in', spoil=spoil, images=12), '-p', f'extrinsics:={EXTRINSICS}'
    )
    report = json.loads(capsys.readouterr().out)
    remarks = ' '.join(report['remarks'])
    assert code == 0 and 'of length 0.7; expected finite numbers' in remarks and 'the pose jumped' in remarks
    assert report['dropped'] == {'no_pose': 2, 'no_parallax': 4} and report['written'] == 6
    assert all(abs(s.pose[0, 3] - r.pose[0, 3]) < 1 for r, sources in fake.calls for s in sources)


@pytest.mark.parametrize(
    ('static', 'arguments', 'words'),
    [
        (False, [], "'base_link' of the odometry is unknown: set extrinsics"),
        (True, ['-p', 'pose_source:=tf', '-p', 'fixed_frame:=world'], "to fixed_frame 'world' at the stamp of"),
    ],
)
def test_without_the_pose_of_the_camera_there_is_no_depth_and_a_remark_says_why(
    tmp_path, monkeypatch, capsys, static, arguments, words
):
    code, _ = process(tmp_path, monkeypatch, drive(tmp_path / 'in', static=static), *arguments)
    report = json.loads(capsys.readouterr().out)
    assert code == 1 and report['dropped'] == {'no_pose': 10} and any(words in each for each in report['remarks'])


def test_a_recording_without_odometry_gives_one_clear_error(tmp_path, monkeypatch, capsys):
    code, _ = process(tmp_path, monkeypatch, drive(tmp_path / 'in', 'tf'))
    assert code == 1 and 'has no topic /odom; available: ' in capsys.readouterr().err


def test_transforms_are_not_extrapolated_for_poses():
    transforms = RecordedTransforms(math.inf)
    for i in range(3):
        transforms.add(transform('odom', 'base', i * STEP_NS, (i * 1.0, 0.0, 0.0)), static=False)
    transforms.add(transform('base', 'camera', 0, (0.0, 0.0, 1.0)), static=True)
    np.testing.assert_allclose(transforms.at_stamp('odom', 'camera', STEP_NS // 2)[:3, 3], [0.5, 0, 1])
    assert transforms.at_stamp('odom', 'camera', 3 * STEP_NS) is None
    assert transforms('odom', 'camera', 3 * STEP_NS)[0, 3] == 2.0
    assert parse_pose('0 0 1 0 0 0')[2, 3] == transforms.at_stamp('base', 'camera', 10**15)[2, 3]
