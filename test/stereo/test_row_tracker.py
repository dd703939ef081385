"""The tracked shift of the rows: what it follows and what it ignores."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import bent, frame

from depth_ros.stereo.row_measurement import RowMeasurement
from depth_ros.stereo.row_tracker import RowTracker
from depth_ros.types import RowShift

FRAME = frame(np.full((120, 160), 8.0, np.float32))


def measured(offset_px):
    return RowMeasurement(RowShift(offset_px, 0.0, 0.0), 100, 0.1)


def tracking(*offsets_px):
    """Return a tracker after these measurements, None for a failed one, and its texts for the log."""
    tracker = RowTracker()
    failed = RowMeasurement(None, 3, why='3 points of the scene could be tracked')
    texts = [
        tracker.update(failed if offset is None else measured(offset), FRAME, 2.0 * i)
        for i, offset in enumerate(offsets_px)
    ]
    return tracker, texts


def test_two_measurements_that_agree_are_needed_to_start():
    tracker, texts = tracking(1.0)
    assert tracker.status.state == 'unknown' and tracker.correction is None and 'second' in tracker.status.why
    assert texts == [''] and not tracker.status.warning
    tracker, texts = tracking(1.0, 0.0, 1.0)
    assert tracker.status.state == 'unknown'
    tracker, texts = tracking(1.0, 1.04)
    assert tracker.status.state == 'measured' and tracker.correction.offset_px == pytest.approx(1.02)
    assert texts[-1].startswith('the rows of the right image are off by 1.02 px')
    assert 'set align_rows: true' in tracker.status.warning


def test_a_sudden_jump_is_not_followed_but_a_lasting_change_is():
    tracker, texts = tracking(1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 3.0)
    assert tracker.status.shift.offset_px == pytest.approx(1.0) and tracker.status.state == 'held'
    assert 'differs' in tracker.status.why and 'cannot be confirmed' in texts[2]
    tracker, texts = tracking(1.0, 1.0, 3.0, 3.02, 3.04, 3.02)
    assert tracker.status.shift.offset_px == tracker.correction.offset_px == pytest.approx(3.02)
    assert texts[-1].startswith('the rows of the right image have moved: off by 3.02 px')


def test_jumps_that_do_not_agree_with_each_other_are_never_followed():
    tracker, _ = tracking(0.0, 0.0, *(5.0 * (-1) ** i for i in range(40)))
    assert tracker.status.shift.offset_px == 0.0 and tracker.correction is None


def test_a_slow_drift_is_followed():
    tracker, texts = tracking(*np.arange(0.0, 2.0, 0.02))
    assert tracker.status.shift.offset_px == pytest.approx(1.98, abs=0.1)
    assert tracker.correction.offset_px == pytest.approx(tracker.status.shift.offset_px, abs=0.05)
    assert sum(map(bool, texts)) == 1


def test_too_few_matches_leave_the_last_correction_in_place_and_are_reported_once():
    tracker, texts = tracking(1.0, 1.0, None, None, None)
    assert tracker.correction.offset_px == 1.0 and tracker.status.state == 'held'
    assert [bool(text) for text in texts] == [False, True, True, False, False]
    assert '3 points of the scene' in texts[2] and '3 points' in tracker.status.values['rows.why']
    assert tracking(1.0, 1.0, None, 1.0)[0].status.state == 'measured'


def test_a_negligible_shift_is_not_corrected():
    assert tracking(0.05, 0.05)[0].correction is None


def test_the_rest_of_a_corrected_frame_is_added_to_its_correction():
    tracker, _ = tracking(1.0, 1.0)
    corrected = replace(FRAME, row_shift=tracker.correction)
    tracker.update(measured(0.1), corrected, 10.0)
    assert tracker.status.shift.offset_px == pytest.approx(1.03) and tracker.status.corrected
    assert not tracker.status.warning


def test_another_camera_or_size_starts_again():
    tracker, _ = tracking(1.0, 1.0)
    tracker.update(measured(0.0), frame(np.full((100, 160), 8.0, np.float32)), 10.0)
    assert tracker.correction is None and tracker.status.state == 'unknown'


def test_rows_are_measured_every_two_seconds_and_after_a_jump_back_in_time():
    pair, tracker = replace(FRAME, right=bent(FRAME.right, 1.5)), RowTracker()
    counts = []
    for now_s in (0.0, 0.2, 0.5, 1.0, 2.4, 2.5, 1.0):
        before = tracker.status
        tracker.observe(pair, now_s)
        counts.append(tracker.status is not before)
    assert counts == [True, False, True, False, False, True, True]
    assert tracker.status.off_px == pytest.approx(1.5, abs=0.02)


def test_before_the_first_measurement_there_are_no_values():
    assert RowTracker().status.values == {} and RowTracker().status.warning == ''
