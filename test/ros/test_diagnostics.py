import pytest

from depth_ros.ros.diagnostics import ERROR, OK, WARN, NodeState, TopicState, diagnostic_array, verdict
from depth_ros.ros.frame_accounting import FrameCounts

ACCOUNT = FrameCounts(10, 7, 1, {'superseded': 2}, 9.8, {'p50': 20.0, 'p95': 30.0, 'p99': 40.0}, 12.0, 0.5)
LEFT = TopicState('left image', '/front/left/image_rect', 1, 0.1, None)


def state(**values):
    return NodeState(
        **{'name': 'front/stereo_depth', 'lifecycle': 'active', 'account': ACCOUNT, 'inputs': [LEFT], **values}
    )


@pytest.mark.parametrize(
    ('values', 'level', 'words'),
    [
        ({}, OK, '9.8 Hz, age 20 ms'),
        ({'lifecycle': 'inactive'}, OK, 'inactive'),
        ({'lifecycle': 'unconfigured', 'trouble': 'cannot configure: x'}, ERROR, 'cannot configure: x'),
        ({'wanted': False}, OK, 'nobody subscribes'),
        ({'trouble': 'image too short'}, WARN, 'image too short'),
        ({'caution': 'for the simulator only'}, WARN, '9.8 Hz, age 20 ms. for the simulator only'),
        ({'caution': 'for the simulator only', 'wanted': False}, WARN, 'for the simulator only'),
        ({'device_lost': True, 'trouble': 'the device is lost'}, ERROR, 'the device is lost'),
        ({'busy_s': 6.0}, ERROR, 'busy with one frame for 6.0 s'),
        ({'failures_in_a_row': 30, 'trouble': 'boom'}, ERROR, '30 frames failed in a row: boom'),
        (
            {'inputs': [TopicState('right image', '/front/right/image_rect', 0, 5.0, None)]},
            WARN,
            'no right image: nobody publishes /front/right/image_rect',
        ),
        ({'inputs': [TopicState('left image', '/l', 2, 5.0, None)]}, WARN, 'no left image on /l for 5 s although 2'),
        ({'inputs': [TopicState('left image', '/l', 1, 0.0, 'durability')]}, ERROR, 'durability that does not fit'),
    ],
)
def test_the_verdict_names_the_trouble(values, level, words):
    got_level, got_words = verdict(state(**values))
    assert got_level == level
    assert words in got_words


def test_the_message_has_the_whole_account():
    from builtin_interfaces.msg import Time

    status = diagnostic_array(state(), Time()).status[0]
    values = {pair.key: pair.value for pair in status.values}
    assert status.name == 'front/stereo_depth: frames'
    assert values['received'] == '10' and values['published'] == '7' and values['dropped.superseded'] == '2'
    assert values['in_flight'] == '1'
    assert values['age_p99_ms'] == '40.0'
