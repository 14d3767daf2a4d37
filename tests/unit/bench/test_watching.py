"""What a watch over a server makes of its looks."""

from __future__ import annotations

import pytest

from bench.watching import Seen, intervals, steady_rate

STEADY = [Seen(at / 10, 40, 40 * at, 2 * at) for at in range(100)]
"""Ten looks a second: 400 accepted and 20 refused a second, 40 in flight."""


def test_an_interval_has_rates_and_the_mean_in_flight() -> None:
    for each in intervals(STEADY, 1.0):
        assert (each.accepted, each.refused, each.in_flight) == (pytest.approx(400), pytest.approx(20), 40)


def test_intervals_follow_each_other_without_the_first_which_has_no_before() -> None:
    assert [round(each.at) for each in intervals(STEADY, 1.0)] == list(range(1, 10))


def test_the_steady_rate_leaves_start_and_tail_out() -> None:
    idle = [Seen(at / 10, 0, 0, 0) for at in range(50)]
    busy = [Seen(5 + at / 10, 40, 40 * at, 0) for at in range(100)]
    tail = [Seen(15 + at / 10, 1, 3960, 0) for at in range(50)]
    assert steady_rate([*idle, *busy, *tail], 3960) == pytest.approx(400, rel=0.05)
