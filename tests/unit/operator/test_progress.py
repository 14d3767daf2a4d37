"""Progress: it never falls, and says nothing that it cannot know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bucketops_api.v1alpha1.common import Progress
from bucketops_operator.progress import UNFINISHED, advance, finished, is_due

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def after(progress: Progress, seconds: float, done: int, total: int = 100) -> Progress:
    now = NOW + timedelta(seconds=seconds)
    return advance(progress, total=total, done=done, bytes_done=done * 10, now=now)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200), st.integers(0, 150)), max_size=20))
def test_nothing_falls_whatever_restarted_workers_say(looks: list[tuple[int, int, int]]) -> None:
    progress, seconds = Progress(), 0
    for more, done, total in looks:
        seconds += more
        fresh = after(progress, seconds, done, total)
        for name in ("percent", "objects_total", "objects_done", "bytes_done"):
            assert getattr(fresh, name) >= getattr(progress, name)
        assert fresh.objects_done <= fresh.objects_total
        assert fresh.percent <= UNFINISHED
        assert fresh.objects_per_second >= 0
        progress = fresh


def test_a_rate_takes_two_looks() -> None:
    first = after(Progress(), 0, 10)
    assert (first.objects_per_second, first.eta_seconds) == (0, None)
    second = after(first, 2, 30)
    assert (second.objects_per_second, second.eta_seconds) == (10, 7)


def test_a_rate_is_smoothed() -> None:
    steady = after(after(Progress(), 0, 0), 1, 10)
    assert after(steady, 2, 40).objects_per_second == 20


def test_the_end_is_100_percent_without_a_rate_or_an_estimate() -> None:
    ended = finished(after(after(Progress(), 0, 10), 1, 20), NOW)
    assert (ended.percent, ended.objects_per_second, ended.eta_seconds) == (100, 0, None)


def test_what_is_complete_has_no_rate() -> None:
    assert after(after(Progress(), 0, 10), 1, 100).objects_per_second == 0


def test_numbers_are_due_after_a_while() -> None:
    every = timedelta(seconds=5)
    assert is_due(Progress(), NOW, every)
    known = after(Progress(), 0, 1)
    assert not is_due(known, NOW + timedelta(seconds=4), every)
    assert is_due(known, NOW + timedelta(seconds=5), every)
