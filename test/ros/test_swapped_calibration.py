"""Calibrations of left and right that are exchanged: no metres, and words that say what to do."""

import pytest
from graph import Graph
from scenes import calibrations

from depth_ros.pipeline import stereo_estimator
from depth_ros.ros.diagnostics import OK, WARN

pytestmark = [pytest.mark.ros, pytest.mark.slow]
TOPICS = ('depth/image_rect', 'points', 'disparity')
WORDS = 'left and right are swapped. Exchange them'


@pytest.mark.parametrize('rectify', [False, True], ids=['rectified', 'raw'])
def test_exchanged_camera_infos_are_named_in_diagnostics_and_once_in_the_log_and_nothing_is_published(rectify, capfd):
    left, right = calibrations(64, 48)
    with Graph({'rectify': rectify}, listen=TOPICS) as graph:
        graph.open_camera()
        graph.infos = {'left': right, 'right': left}
        graph.stream(10, rate_hz=20.0)
        level, words, _ = graph.wait_for_status(WORDS)
        assert level == WARN and 'left camera_info.p[3] is -30 and right camera_info.p[3] is 0' in words
        account = graph.wait_until_settled()
        assert account.published == 0 and set(account.dropped) <= {'bad_camera_info', 'superseded'}
        assert not any(graph.received[topic] for topic in TOPICS)
        assert capfd.readouterr().err.count(WORDS) == 1
        graph.infos = {'left': left, 'right': right}
        graph.send()
        graph.wait_for_messages('depth/image_rect')
        assert graph.wait_for_status('Hz')[0] == OK


def test_a_pair_whose_topics_are_all_exchanged_is_named_too(motorcycle):
    with Graph(make_estimator=stereo_estimator, width=741, height=500, listen=TOPICS) as graph:
        graph.infos = {'left': motorcycle.right_calibration, 'right': motorcycle.left_calibration}
        graph.open_camera()
        head = graph.head()
        graph.send(left=graph.image(head, motorcycle.right, 'rgb8'), right=graph.image(head, motorcycle.left, 'rgb8'))
        assert graph.wait_for_status(WORDS)[0] == WARN
        assert graph.wait_until_settled().dropped == {'bad_camera_info': 1}
        assert not any(graph.received[topic] for topic in TOPICS)
