"""Lookup of the calibration of an image, for live topics and recordings."""

import pytest

from depth_ros.messages.calibration_lookup import CalibrationLookup, LiveCalibrations


@pytest.mark.parametrize('lookup', [CalibrationLookup(), LiveCalibrations()], ids=['recording', 'live'])
def test_an_image_gets_the_calibration_of_its_stamp_or_the_newest_before_it_or_the_oldest(lookup):
    assert lookup.at(5) is None
    for stamp, calibration in ((30, 'c'), (10, 'a'), (20, 'b')):
        lookup.add(stamp, calibration)
    assert [lookup.at(stamp) for stamp in (5, 10, 19, 20, 25, 99)] == ['a', 'a', 'a', 'b', 'b', 'c']
    lookup.add(20, 'corrected')
    assert lookup.at(20) == 'corrected'


def test_a_live_topic_keeps_a_bounded_number():
    live = LiveCalibrations()
    for stamp in range(100):
        live.add(stamp, stamp)
    assert live.exact(80) is None and live.exact(95) == 95 and live.at(0) == 90


def test_images_wait_for_calibrations_that_come_with_images_and_not_for_one_that_came_once():
    live = LiveCalibrations()
    live.stop_waiting()
    assert live.comes_with_images  # nothing has been received yet
    live.add(1, 'once')
    live.stop_waiting()
    assert not live.comes_with_images
    live.exact(7)
    live.add(7, 'with its image')
    assert live.comes_with_images
