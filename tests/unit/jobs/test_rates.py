"""Rate limits, by a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.rates import Bucket


def turn(bucket: Bucket, amount: float, now: float) -> float:
    return bucket.wait(bucket.take(amount, now), now)


def test_a_bucket_keeps_its_rate() -> None:
    bucket = Bucket(100.0, now=0)
    waits = [turn(bucket, 1, 0) for _ in range(50)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(0.5)


def test_a_bucket_without_a_rate_never_waits() -> None:
    bucket = Bucket(now=0)
    assert [turn(bucket, 10**9, 0) for _ in range(3)] == [0, 0, 0]


def test_after_a_pause_one_seconds_worth_goes_at_once_and_no_more() -> None:
    bucket = Bucket(10.0, now=0)
    waits = [turn(bucket, 1, 100) for _ in range(12)]
    assert waits[:10] == [0] * 10
    assert waits[10:] == pytest.approx([0.1, 0.2])


def test_at_a_rate_below_one_requests_come_singly_at_its_pace() -> None:
    """Half a request per second: one that comes after a pause goes at once, its followers every two seconds."""
    bucket = Bucket(0.5, now=0)
    assert [turn(bucket, 1, 60) for _ in range(3)] == pytest.approx([0, 2, 4])


def test_an_object_larger_than_a_seconds_worth_waits_for_all_of_it() -> None:
    bucket = Bucket(1000.0, now=0)
    assert turn(bucket, 5000, 0) == pytest.approx(5)


def test_who_waits_feels_a_new_rate_at_once() -> None:
    bucket = Bucket(1.0, now=0)
    ticket = bucket.take(1000, 0)
    assert bucket.wait(ticket, 0) == 1000
    bucket.change(100.0, 0)
    assert bucket.wait(ticket, 0) == 10
    bucket.change(None, 0)
    assert bucket.wait(ticket, 0) == 0


def test_a_rate_that_comes_later_knows_no_debts() -> None:
    bucket = Bucket(now=0)
    assert turn(bucket, 10**6, 0) == 0
    bucket.change(10.0, 5)
    assert turn(bucket, 1, 5) == pytest.approx(0.1)


@given(
    st.floats(0.01, 1000),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 50)), min_size=1, max_size=40),
)
def test_never_more_than_the_rate_and_one_burst(rate: float, takes: list[tuple[float, int]]) -> None:
    """Whatever is taken when: up to any time, no more has had its turn than rate x time and one burst."""
    bucket, now, turns = Bucket(rate, now=0), 0.0, []
    for pause, amount in takes:
        now += pause
        turns.append((now + turn(bucket, amount, now), amount))
    burst = max(rate, 1.0)
    total = 0
    for when, amount in sorted(turns):
        total += amount
        assert total <= rate * when + burst + 1e-6 * total
