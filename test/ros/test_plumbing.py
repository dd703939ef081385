"""Inbox, worker, accounting, complaints: the parts between receiving and publishing, without ROS."""

import threading
import time

import pytest

from depth_ros.errors import DeviceLost, OutOfMemory
from depth_ros.ros.failure_recovery import FailureRecovery
from depth_ros.ros.frame_accounting import FrameAccounting
from depth_ros.ros.inbox import Inbox
from depth_ros.ros.throttled_log import ThrottledLog
from depth_ros.ros.worker import Worker


def wait_until(condition, timeout_s=5.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'it did not happen in time'
        time.sleep(0.002)


def test_the_newest_item_wins_and_the_displaced_one_is_handed_back():
    inbox = Inbox()
    assert inbox.put(1) is None
    assert inbox.put(2) == 1
    assert inbox.take() == 2


def test_a_closed_inbox_hands_everything_back_and_wakes_the_taker():
    inbox = Inbox()
    inbox.put(1)
    assert inbox.close() == 1
    assert inbox.put(2) == 2
    assert inbox.take() is None


def test_d1_a_slow_worker_works_on_the_newest_and_gives_the_rest_up():
    done, displaced, go = [], [], threading.Event()

    def work(item):
        go.wait()
        done.append(item)

    worker = Worker(work, displaced.append)
    worker.submit(0)
    wait_until(lambda: worker.busy_s() > 0)
    for item in range(1, 100):
        worker.submit(item)
    go.set()
    wait_until(lambda: len(done) == 2)
    assert done == [0, 99]
    assert displaced == list(range(1, 99))
    assert worker.stop(1.0)


def test_e6_a_worker_survives_what_its_work_raises(caplog):
    done = []

    def work(item):
        if item % 2:
            raise RuntimeError('odd')
        done.append(item)

    worker = Worker(work, lambda item: None)
    for item in range(6):
        worker.submit(item)
        wait_until(lambda: worker.busy_s() == 0 and worker._inbox._item is None)
    wait_until(lambda: done == [0, 2, 4])
    assert 'goes on after an unexpected error' in caplog.text
    assert worker.stop(1.0)


def test_a_stuck_worker_is_reported():
    worker = Worker(lambda item: threading.Event().wait(), lambda item: None)
    worker.submit(1)
    wait_until(lambda: worker.busy_s() > 0)
    assert not worker.stop(0.1)


def test_what_waits_is_displaced_at_the_end():
    displaced, entered, go = [], threading.Event(), threading.Event()
    worker = Worker(lambda item: (entered.set(), go.wait()), displaced.append)
    worker.submit(1)
    entered.wait()
    worker.submit(2)
    threading.Timer(0.05, go.set).start()
    assert worker.stop(2.0)
    assert displaced == [2]


def test_g3_every_frame_is_accounted_for_at_all_times():
    accounting = FrameAccounting()
    for i in range(100):
        accounting.receive()
        if i % 3 == 0:
            accounting.drop('bad_image')
        elif i % 3 == 1:
            accounting.publish(0.05, 0.04)
        look = accounting.look()
        assert look.received == look.published + sum(look.dropped.values()) + look.in_flight
    assert accounting.look().in_flight == 33


def test_age_and_rate_are_those_of_the_recent_frames():
    now = [100.0]
    accounting = FrameAccounting(clock=lambda: now[0])
    for i in range(100):
        accounting.receive()
        accounting.publish(age_s=0.001 * (i + 1), work_s=0.01)
        now[0] += 0.1
    look = accounting.look()
    assert look.rate_hz == pytest.approx(10.0, rel=0.05)
    assert look.age_ms['p50'] == pytest.approx(50.5)
    assert look.age_ms['p99'] == pytest.approx(99.01)
    assert look.work_ms == pytest.approx(10.0)
    now[0] += 10
    assert accounting.look().rate_hz == 0.0


def test_g4_a_problem_is_told_once_and_then_every_ten_seconds_with_a_count():
    now, said = [0.0], []
    complaints = ThrottledLog(said.append, clock=lambda: now[0])
    for _ in range(200):
        complaints.tell('bad_image', 'short data')
        now[0] += 0.125
    complaints.tell('other', 'something else')
    assert said == [
        'short data',
        'short data (79 more in between)',
        'short data (79 more in between)',
        'something else',
    ]


def test_f12_pauses_grow_while_memory_is_short_and_start_again_after_a_success():
    now = [0.0]
    recovery = FailureRecovery(clock=lambda: now[0])
    pauses = []
    for _ in range(7):
        consequence = recovery.failed(OutOfMemory('full'))
        assert consequence.renew and consequence.reason == 'out_of_memory'
        start = now[0]
        while recovery.reason_to_skip() == 'out_of_memory':
            now[0] += 0.25
        pauses.append(now[0] - start)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    recovery.succeeded()
    assert '1 s' in recovery.failed(OutOfMemory('full')).text


def test_e6_the_estimator_is_renewed_after_every_hundredth_failure_in_a_row():
    recovery = FailureRecovery()
    renewed = [i for i in range(1, 301) if recovery.failed(RuntimeError('bug')).renew]
    assert renewed == [100, 200, 300]


def test_f13_after_a_lost_device_nothing_is_tried():
    recovery = FailureRecovery()
    assert recovery.failed(DeviceLost('gone')).device_lost
    assert recovery.reason_to_skip() == 'device_lost'
