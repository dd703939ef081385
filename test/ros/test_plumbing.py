"""Inbox, worker, frame accounting and throttled log, without ROS."""

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
        assert time.monotonic() < end, 'the condition did not become true in time'
        time.sleep(0.002)


def test_a_new_item_replaces_the_old_one_which_is_returned():
    inbox = Inbox()
    assert inbox.put(1) is None
    assert inbox.put(2) == 1
    assert inbox.take() == 2


def test_a_closed_inbox_returns_its_item_rejects_new_ones_and_wakes_the_waiting_thread():
    inbox = Inbox()
    inbox.put(1)
    assert inbox.close() == 1
    assert inbox.put(2) == 2
    assert inbox.take() is None


def test_d1_a_slow_worker_processes_the_newest_item_and_discards_the_others():
    done, discarded, go = [], [], threading.Event()

    def work(item):
        go.wait()
        done.append(item)

    worker = Worker(work, discarded.append)
    worker.submit(0)
    wait_until(lambda: worker.busy_s() > 0)
    for item in range(1, 100):
        worker.submit(item)
    go.set()
    wait_until(lambda: len(done) == 2)
    assert done == [0, 99]
    assert discarded == list(range(1, 99))
    assert worker.stop(1.0)


def test_e6_a_worker_continues_after_an_exception(caplog):
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
    assert 'unexpected error in the worker thread' in caplog.text
    assert worker.stop(1.0)


def test_a_stuck_worker_is_reported():
    worker = Worker(lambda item: threading.Event().wait(), lambda item: None)
    worker.submit(1)
    wait_until(lambda: worker.busy_s() > 0)
    assert not worker.stop(0.1)


def test_an_item_that_waits_when_the_worker_stops_is_discarded():
    discarded, entered, go = [], threading.Event(), threading.Event()
    worker = Worker(lambda item: (entered.set(), go.wait()), discarded.append)
    worker.submit(1)
    entered.wait()
    worker.submit(2)
    threading.Timer(0.05, go.set).start()
    assert worker.stop(2.0)
    assert discarded == [2]


def test_g3_every_frame_is_accounted_for_at_all_times():
    accounting = FrameAccounting()
    for i in range(100):
        accounting.receive()
        if i % 3 == 0:
            accounting.drop('bad_image')
        elif i % 3 == 1:
            accounting.publish(0.05, 0.04)
        counts = accounting.counts()
        assert counts.received == counts.published + sum(counts.dropped.values()) + counts.in_flight
    assert accounting.counts().in_flight == 33


def test_age_and_rate_are_those_of_the_recent_frames():
    now = [100.0]
    accounting = FrameAccounting(clock=lambda: now[0])
    for i in range(100):
        accounting.receive()
        accounting.publish(age_s=0.001 * (i + 1), work_s=0.01)
        now[0] += 0.1
    counts = accounting.counts()
    assert counts.rate_hz == pytest.approx(10.0, rel=0.05)
    assert counts.age_ms['p50'] == pytest.approx(50.5)
    assert counts.age_ms['p99'] == pytest.approx(99.01)
    assert counts.work_ms == pytest.approx(10.0)
    now[0] += 10
    assert accounting.counts().rate_hz == 0.0


def test_g4_a_problem_is_logged_once_and_then_every_ten_seconds_with_a_count():
    now, logged = [0.0], []
    log = ThrottledLog(logged.append, clock=lambda: now[0])
    for _ in range(200):
        log.report('bad_image', 'short data')
        now[0] += 0.125
    log.report('other', 'something else')
    assert logged == [
        'short data',
        'short data (79 similar messages suppressed)',
        'short data (79 similar messages suppressed)',
        'something else',
    ]


def test_f12_pauses_grow_while_memory_is_short_and_start_again_after_a_success():
    now = [0.0]
    recovery = FailureRecovery(clock=lambda: now[0])
    pauses = []
    for _ in range(7):
        response = recovery.failed(OutOfMemory('full'))
        assert response.renew and response.reason == 'out_of_memory'
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


def test_f13_after_a_lost_device_no_frame_is_processed():
    recovery = FailureRecovery()
    assert recovery.failed(DeviceLost('gone')).device_lost
    assert recovery.reason_to_skip() == 'device_lost'
