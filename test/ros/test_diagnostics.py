import pytest

from depth_ros.ros.diagnostics import ERROR, OK, WARN, NodeState, TopicState, diagnostic_array, summarize
from depth_ros.ros.frame_accounting import FrameCounts

COUNTS = FrameCounts(10, 7, 1, {'superseded': 2}, 9.8, {'p50': 20.0, 'p95': 30.0, 'p99': 40.0}, 12.0, 0.5)
LEFT = TopicState('left image', '/front/left/image_rect', 1, 0.1, None)


def state(**values):
    return NodeState(
        **{'name': 'front/stereo_depth', 'lifecycle': 'active', 'counts': COUNTS, 'inputs': [LEFT], **values}
    )


@pytest.mark.parametrize(
    ('values', 'level', 'text'),
    [
        ({}, OK, '9.8 Hz, age 20 ms'),
        ({'lifecycle': 'inactive'}, OK, 'inactive'),
        ({'lifecycle': 'unconfigured', 'problem': 'cannot configure: x'}, ERROR, 'cannot configure: x'),
        ({'has_subscribers': False}, OK, 'no subscribers'),
        ({'problem': 'image too short'}, WARN, 'image too short'),
        ({'caution': 'for the simulator only'}, WARN, '9.8 Hz, age 20 ms. for the simulator only'),
        ({'caution': 'for the simulator only', 'has_subscribers': False}, WARN, 'for the simulator only'),
        ({'device_lost': True, 'problem': 'the device is lost'}, ERROR, 'the device is lost'),
        ({'busy_s': 6.0}, ERROR, 'processing one frame for 6.0 s'),
        ({'failures_in_a_row': 30, 'problem': 'boom'}, ERROR, '30 consecutive frames failed: boom'),
        (
            {'inputs': [TopicState('right image', '/front/right/image_rect', 0, 5.0, None)]},
            WARN,
            'no right image: no publisher on /front/right/image_rect',
        ),
        (
            {'inputs': [TopicState('left image', '/l', 2, 5.0, None)]},
            WARN,
            'no left image on /l for 5 s, although there are 2',
        ),
        (
            {'inputs': [TopicState('left image', '/l', 1, 0.0, 'durability')]},
            ERROR,
            'durability of a publisher is incompatible',
        ),
    ],
)
def test_the_status_names_the_problem(values, level, text):
    got_level, got_text = summarize(state(**values))
    assert got_level == level
    assert text in got_text


def test_the_message_has_all_counters():
    from builtin_interfaces.msg import Time

    status = diagnostic_array(state(), Time()).status[0]
    values = {pair.key: pair.value for pair in status.values}
    assert status.name == 'front/stereo_depth: frames'
    assert values['received'] == '10' and values['published'] == '7' and values['dropped.superseded'] == '2'
    assert values['in_flight'] == '1'
    assert values['age_p99_ms'] == '40.0'


def test_the_message_has_the_measured_values_of_the_images():
    from builtin_interfaces.msg import Time

    status = diagnostic_array(state(image_values={'exposure.brightness_ratio': '0.500'}), Time()).status[0]
    assert ('exposure.brightness_ratio', '0.500') in [(pair.key, pair.value) for pair in status.values]
