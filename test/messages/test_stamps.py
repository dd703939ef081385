"""Distances of stamps."""

import numpy as np

from depth_ros.messages.stamps import apart_ns


def test_each_stamp_finds_the_nearest_of_the_other_stream_in_any_order():
    assert apart_ns([30, 10, 20], [12, 29]).tolist() == [2, 8, 1]
    assert apart_ns([5], [7]).tolist() == [2] and apart_ns([10**18 + 3], [10**18]).tolist() == [3]


def test_the_result_equals_that_of_comparing_all_pairs():
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 1000, 50), rng.integers(0, 1000, 60)
    expected = np.abs(np.sort(left)[:, None] - right[None]).min(axis=1)
    np.testing.assert_array_equal(apart_ns(left.tolist(), right.tolist()), expected)
