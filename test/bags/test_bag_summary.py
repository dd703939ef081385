"""`depth-ros bag info` reports problems of a recording."""

import json

import pytest
from bag_files import write_bag

from depth_ros.bags.bag_summary import summarize_bag
from depth_ros.cli.main import main
from depth_ros.errors import BadFile


def test_a_valid_recording_is_summarized(tmp_path, capsys):
    bag = write_bag(tmp_path / 'in', frames=20, namespace='/front')
    summary = summarize_bag(bag)
    topics = {topic.name: topic for topic in summary.topics}
    left = topics['/front/left/image_rect']
    assert left.messages == 20 and left.rate_hz == pytest.approx(10.0) and not left.problems and not left.longest_gap_s
    (camera,) = summary.cameras
    assert (
        camera
        == 'stereo under /front: left and right are 0.0 ms apart (median), 0.0 ms at most; baseline 0.100 m, fx 300 px'
    )
    assert main(['bag', 'info', str(bag)]) == 0
    text = capsys.readouterr().out
    assert '/front/left/image_rect' in text and '10.0 Hz' in text and camera in text
    assert main(['bag', 'info', str(bag), '--json']) == 0
    assert len(json.loads(capsys.readouterr().out)['topics']) == 4


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'infos': False}, 'a camera_info is missing'),
        ({'skew_ms': 12.0}, '12.0 ms apart'),
        ({'stamp': lambda frame: 0}, '10 without a stamp'),
        ({'stamp': lambda frame: 10**9 + (9 - frame) * 10**8}, 'stamps go back 9 times'),
        ({'stamp': lambda frame: 10**9}, '9 duplicate stamps'),
        ({'recorded': lambda frame: 10**9 + frame * 10**8 + (10**9 if frame > 5 else 0)}, 'a gap of 1.1 s'),
        (
            {'recorded': lambda frame: 60 * 10**9 + frame * 10**8},
            'stamps are 59.0 s before the recording time: check that the clocks agree',
        ),
        ({'damaged': (2,)}, '1 damaged'),
        ({'baseline_m': 0.0}, 'unusable calibration'),
    ],
)
def test_problems_of_a_recording_are_reported(tmp_path, capsys, options, text):
    bag = write_bag(tmp_path / 'in', frames=10, **options)
    assert main(['bag', 'info', str(bag)]) == 0
    output = capsys.readouterr().out
    assert text in output, output


def test_a_bag_without_a_camera_and_a_path_that_is_no_bag(tmp_path, capsys):
    from rosbags.rosbag2 import Writer

    with Writer(tmp_path / 'empty', version=9):
        pass
    assert main(['bag', 'info', str(tmp_path / 'empty')]) == 0
    assert 'no camera found' in capsys.readouterr().out
    with pytest.raises(BadFile, match='cannot be read as a bag'):
        summarize_bag(tmp_path / 'nothing')


def test_a_bag_without_messages_is_not_an_error(tmp_path, capsys):
    bag = write_bag(tmp_path / 'in', frames=0)
    assert summarize_bag(bag).seconds == 0 and summarize_bag(bag).cameras == [
        'stereo under /: no images; a camera_info is missing'
    ]
    assert main(['bag', 'process', str(bag), str(tmp_path / 'out')]) == 0
    assert '0 of 0 frames' in capsys.readouterr().out
