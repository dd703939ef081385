"""A measured depth as an input of a network on a live graph: from every kind of sensor, missing, old, and back again.

The depth of the network is its prompt.
"""

import numpy as np
import pytest
from graph import MonoGraph, wait_for
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_srvs.srv import Trigger
from tiny_model import model, prompted_model

from depth_ros.messages import read_messages
from depth_ros.ros.diagnostics import WARN
from depth_ros.ros.mono_node import node_estimator
from depth_ros.ros.ros_messages import to_ros
from depth_ros.types import Camera, Cloud

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'
CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
SENSOR = Camera(80, 60, 50.0, 50.0, 39.5, 29.5)
AHEAD_M = 0.5
"""The sensor is this far in front of the camera; it sees a wall at 2 m to the left and one at 4 m to the right."""
NEAR_M, FAR_M = 2.0 - AHEAD_M, 4.0 - AHEAD_M
AS_CAMERA, X_FORWARD = f'0 0 {AHEAD_M} 0 0 0', f'0 0 {AHEAD_M} 1.5707963 -1.5707963 0'


def prompted(path, listen=(DEPTH, 'depth/relative', 'scale'), **parameters):
    values = {'model': path, 'filter.edges': False, 'scale.source': 'reference', 'scale.extrinsics': AS_CAMERA}
    values |= {name.replace('__', '.'): value for name, value in parameters.items()}
    graph = MonoGraph(values, node_estimator, listen)
    graph.infos['left'] = read_messages.calibration(to_ros.camera_info(CAMERA, to_ros.header(0, '')))
    return graph


def sensor_depth():
    left = np.arange(SENSOR.width) < SENSOR.width // 2
    return np.where(left, NEAR_M, FAR_M).astype(np.float32) * np.ones((SENSOR.height, 1), np.float32)


def depth_image(graph, head):
    graph.publisher(CameraInfo, 'scale/camera_info').publish(to_ros.camera_info(SENSOR, head))
    return to_ros.image(sensor_depth(), '32FC1', head)


def depth_image_with_holes(graph, head):
    message = depth_image(graph, head)
    values = sensor_depth()
    values[::3], values[1::3], values[:, 1::4] = 0.0, np.nan, np.inf
    message.data = values.tobytes()
    return message


def cloud(graph, head):
    z = sensor_depth()
    v, u = np.mgrid[: SENSOR.height, : SENSOR.width]
    right, down = (u - SENSOR.cx) / SENSOR.fx * z, (v - SENSOR.cy) / SENSOR.fy * z
    points = np.stack([z, -right, -down], axis=-1).reshape(-1, 3)
    points[::5], points[1::5] = 0.0, np.nan
    return to_ros.point_cloud(Cloud(points.astype(np.float32)), head)


def scan(graph, head):
    message = LaserScan(header=head, angle_min=-0.7, angle_increment=0.01, range_min=0.0, range_max=20.0)
    angles = message.angle_min + message.angle_increment * np.arange(141)
    ranges = np.where(angles > 0, NEAR_M, FAR_M) / np.cos(angles)
    ranges[::5], ranges[1::5] = 0.0, np.nan
    message.angle_max, message.ranges = float(angles[-1]), ranges.astype(np.float32).tolist()
    return message


KINDS = {'depth': Image, 'points': PointCloud2, 'scan': LaserScan}


def send(graph, make, kind='depth', older_s=0.0):
    """Send a measured depth, and an image that is newer."""
    now_ns = graph.probe.get_clock().now().nanoseconds
    graph.publisher(KINDS[kind], 'scale/reference').publish(
        make(graph, to_ros.header(now_ns - int(older_s * 1e9), 'sensor'))
    )
    graph.send(stamp_ns=now_ns)
    return True


def metres(graph, make, kind='depth'):
    """Return the newest depth image."""
    wait_for(lambda: send(graph, make, kind) and graph.received[DEPTH])
    message = graph.received[DEPTH][-1]
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


@pytest.mark.parametrize(
    ('kind', 'make', 'extrinsics'),
    [
        ('depth', depth_image, AS_CAMERA),
        ('depth', depth_image_with_holes, AS_CAMERA),
        ('points', cloud, X_FORWARD),
        ('scan', scan, X_FORWARD),
    ],
)
def test_the_depth_of_a_sensor_elsewhere_reaches_the_network(tmp_path, kind, make, extrinsics):
    with prompted(prompted_model(tmp_path), scale__reference_type=kind, scale__extrinsics=extrinsics) as graph:
        graph.open_camera()
        depth_m = metres(graph, make, kind)
        assert depth_m.shape == (48, 64)
        np.testing.assert_allclose(depth_m[:, :26], 2.0, rtol=1e-5)
        np.testing.assert_allclose(depth_m[:, 38:], 4.0, rtol=1e-5)
        wait_for(lambda: graph.received['/diagnostics'] and 'prompt.age_ms' in graph.status()[2])
        values = graph.status()[2]
        assert abs(float(values['prompt.age_ms'])) <= 100 and 0 < float(values['prompt.measured_share']) <= 1
        assert 'scale.state' not in values and not graph.received['scale'] and not graph.received['depth/relative']
        answer = graph.call(Trigger, 'mono_depth/reset_scale', Trigger.Request())
        assert not answer.success and 'its output is metric' in answer.message


def test_without_a_measured_depth_there_are_no_metres_and_the_frames_are_counted(tmp_path):
    with prompted(prompted_model(tmp_path), scale__reference_type='depth') as graph:
        graph.open_camera()
        reported = 'no prompt depth: nothing usable received on scale/reference; publish it, of the type'
        wait_for(lambda: graph.send() and graph.received['/diagnostics'] and reported in graph.status()[1])
        level, _, values = graph.status()
        assert level == WARN and int(values['dropped.no_prompt']) >= 1 and values['published'] == '0'
        assert values['scale reference'].startswith('/scale/reference, 0 publisher(s), last')
        assert not graph.received[DEPTH] and not graph.received['depth/relative']
        account = graph.wait_until_settled()
        assert account.received == account.published + sum(account.dropped.values())
        metres(graph, depth_image)


def test_a_measured_depth_that_is_too_old_is_not_used_and_a_new_one_is(tmp_path):
    with prompted(prompted_model(tmp_path), scale__reference_type='depth', scale__max_skew_ms=200.0) as graph:
        graph.open_camera()
        words = 'no prompt depth: that of scale/reference is 5.00 s older than the image, more than scale.max_skew_ms'
        wait_for(
            lambda: (
                send(graph, depth_image, older_s=5.0) and graph.received['/diagnostics'] and words in graph.status()[1]
            )
        )
        assert not graph.received[DEPTH] and int(graph.status()[2]['dropped.no_prompt']) >= 1
        metres(graph, depth_image)
        wait_for(lambda: send(graph, depth_image, older_s=0.15) and 'Hz' in graph.status()[1])
        graph.received[DEPTH].clear()
        wait_for(lambda: send(graph, depth_image, older_s=5.0) and words in graph.status()[1])


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'scale__extrinsics': ''}, "no prompt depth: the pose of 'sensor' in 'left_camera_optical_frame' is unknown"),
        (
            {'scale__extrinsics': '0 0 -9 0 0 0'},
            'no prompt depth: 0 of 4800 valid points of scale/reference are inside',
        ),
    ],
)
def test_a_measured_depth_that_cannot_be_projected_is_explained(tmp_path, changes, words):
    with prompted(prompted_model(tmp_path), scale__reference_type='depth', **changes) as graph:
        graph.open_camera()
        wait_for(
            lambda: send(graph, depth_image) and graph.received['/diagnostics'] and words in graph.status()[1],
            what=lambda: graph.status()[1],
        )
        assert not graph.received[DEPTH]


def test_a_network_that_takes_a_measured_depth_is_refused_without_a_source_of_it(tmp_path):
    path = prompted_model(tmp_path / 'prompted')
    for source in ({'scale__source': 'none'}, {'scale__reference_type': 'range'}):
        with prompted(path, **source) as graph:
            assert 'takes a measured depth' in graph.wait_for_status('cannot configure')[1]
    with prompted(str(model(tmp_path / 'tiny')), scale__source='none') as graph:
        graph.open_camera()
        refused = graph.set_parameters('mono_depth', model=path)
        assert not refused.successful and 'Set scale.source: reference' in refused.reason


def test_a_network_with_a_prompt_replaces_one_whose_scale_is_corrected(tmp_path):
    with prompted(str(model(tmp_path / 'tiny')), scale__reference_type='depth') as graph:
        graph.open_camera()
        wait_for(lambda: send(graph, depth_image) and graph.received['scale'])
        assert graph.set_parameters('mono_depth', model=prompted_model(tmp_path / 'prompted')).successful
        wait_for(
            lambda: (
                send(graph, depth_image)
                and graph.received[DEPTH]
                and np.frombuffer(graph.received[DEPTH][-1].data, np.float32)[0] == pytest.approx(2.0)
            )
        )
