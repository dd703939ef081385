"""Family C of the fault list: time and pairing. The messages are their stamps."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_ros.messages.stereo_pairing import StereoPairing

MS = 1_000_000
FRAME = 33 * MS


def feed(pairing, messages):
    """Feed (side, stamp) one after the other; return the pairs and the reasons of the drops."""
    pairs, dropped = [], []
    for side, stamp in messages:
        outcome = pairing.add(side, stamp, stamp)
        dropped += outcome.dropped
        if outcome.pair:
            pairs.append((outcome.pair.left, outcome.pair.right))
    return pairs, dropped


def stream(start, count, skew=0, period=FRAME):
    """Return a healthy stream: left, then right, of every instant."""
    return [item for i in range(count) for item in (('left', start + i * period), ('right', start + i * period + skew))]


def test_equal_stamps_make_pairs():
    pairs, dropped = feed(StereoPairing(), stream(FRAME, 5))
    assert pairs == [(FRAME * i, FRAME * i) for i in range(1, 6)]
    assert dropped == []


def test_c1_a_zero_stamp_is_refused_unless_configured():
    pairs, dropped = feed(StereoPairing(5 * MS), [('left', 0), ('right', 0)])
    assert pairs == []
    assert dropped == [('left', 'zero_stamp'), ('right', 'zero_stamp')]
    pairs, _ = feed(StereoPairing(5 * MS, accept_zero_stamps=True), [('left', 0), ('right', 0)] * 3)
    assert pairs == [(0, 0)] * 3


@pytest.mark.parametrize('leftovers', [[], ['left'], ['right'], ['left', 'right']])
def test_c2_pairing_resumes_with_the_first_healthy_pair_after_a_jump_back(leftovers):
    pairing = StereoPairing(5 * MS)
    feed(pairing, stream(100 * FRAME, 300))
    for i, side in enumerate(leftovers):
        pairing.add(side, (401 + 3 * i) * FRAME, None)
    pairs, _ = feed(pairing, stream(FRAME, 3))
    assert len(pairs) == 3


def test_c2_a_late_message_of_the_old_loop_does_not_affect_the_new_one():
    pairing = StereoPairing(5 * MS)
    feed(pairing, stream(100 * FRAME, 300))
    pairs, _ = feed(pairing, [('left', FRAME), ('right', 400 * FRAME), ('right', FRAME), *stream(2 * FRAME, 2)])
    assert pairs == [(FRAME * i, FRAME * i) for i in (1, 2, 3)]


def test_c2_the_jump_is_reported_once_for_each_side():
    pairing = StereoPairing()
    feed(pairing, stream(100 * FRAME, 10))
    reports = [pairing.add(side, stamp, None).jumped_back for side, stamp in stream(FRAME, 5)]
    assert sum(reports) <= 2


@pytest.mark.parametrize('loss', [0.0, 0.05, 0.2])
def test_c2_a_looped_bag_pairs_as_well_as_its_first_run(loss):
    import random

    rng, pairing, found = random.Random(1), StereoPairing(), []
    for _ in range(3):
        messages = [m for m in stream(FRAME, 100) if rng.random() >= loss]
        complete = len({s for side, s in messages if side == 'left'} & {s for side, s in messages if side == 'right'})
        found.append((len(feed(pairing, messages)[0]), complete))
    assert all(pairs == complete for pairs, complete in found), found


def test_c4_duplicates_and_disorder_give_each_pair_once():
    a, b, c = FRAME, 2 * FRAME, 3 * FRAME
    messages = [
        ('left', a),
        ('left', a),
        ('right', a),
        ('right', a),
        ('left', c),
        ('left', b),
        ('right', b),
        ('right', c),
    ]
    pairs, dropped = feed(StereoPairing(), messages)
    assert pairs == [(a, a), (b, b), (c, c)]
    assert ('left', 'duplicate') in dropped
    assert ('right', 'out_of_order') in dropped


def test_c5_a_side_that_stops_keeps_the_queue_short_and_pairing_resumes_at_once():
    pairing = StereoPairing()
    for i in range(1, 300):
        pairing.add('left', i * FRAME, None)
        assert pairing.waiting('left') <= 10
    pairs, _ = feed(pairing, stream(300 * FRAME, 2))
    assert len(pairs) == 2


def test_c5_cameras_of_different_rate_pair_at_the_lower_one():
    messages = [m for i in range(1, 101) for m in ([('left', i * FRAME)] + ([('right', i * FRAME)] if i % 2 else []))]
    pairs, _ = feed(StereoPairing(), messages)
    assert len(pairs) == 50


@pytest.mark.parametrize(
    ('skew_ms', 'tolerance_ms', 'paired'),
    [(0, 0, True), (1, 0, False), (1, 5, True), (10, 5, False), (10, 10, True), (40, 5, False)],
)
def test_c6_skew_beyond_the_tolerance_is_rejected(skew_ms, tolerance_ms, paired):
    pairs, _ = feed(StereoPairing(tolerance_ms * MS), stream(FRAME, 20, skew=skew_ms * MS, period=100 * MS))
    assert len(pairs) == (20 if paired else 0)


def test_c6_the_nearest_partner_is_taken():
    pairs, _ = feed(StereoPairing(5 * MS), [('left', 100 * MS), ('left', 104 * MS), ('right', 103 * MS)])
    assert pairs == [(104 * MS, 103 * MS)]


def test_c8_a_message_costs_the_same_after_many():
    pairing = StereoPairing()
    feed(pairing, [('left', i * FRAME) for i in range(1, 5000)])
    assert pairing.waiting('left') <= 10
    assert len(pairing._waiting['left']) + len(pairing._waiting['right']) <= 20
    started = time.perf_counter()
    feed(pairing, stream(6000 * FRAME, 100))
    assert time.perf_counter() - started < 5  # not a benchmark: a product over queues would take minutes


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(['left', 'right']), st.integers(1, 400)), max_size=120),
    st.integers(0, 40),
    st.integers(-(10**6), 10**6),
)
def test_any_interleaving_keeps_the_guarantees(order, tolerance_ms, jump_ms):
    """Every pair within tolerance, every message in at most one pair or one drop, bounded memory, quick recovery."""
    pairing = StereoPairing(tolerance_ms * MS)
    used, gone, fed = [], 0, 0
    for side, tick in order:
        fed += 1
        outcome = pairing.add(side, tick * 10 * MS, (side, fed))
        gone += len(outcome.dropped)
        if outcome.pair:
            used += [outcome.pair.left, outcome.pair.right]
            assert outcome.pair.left[0] == 'left' and outcome.pair.right[0] == 'right'
            assert abs(outcome.pair.skew_ns) <= tolerance_ms * MS
    waiting = pairing.waiting('left') + pairing.waiting('right')
    assert len(used) == len(set(used))
    assert fed == len(used) + gone + waiting
    assert waiting <= 20
    healthy = stream(max(1, 10_000 + jump_ms) * MS, 4, period=100 * MS)
    pairs, _ = feed(pairing, healthy)
    assert len(pairs) >= 2
