"""When to try again."""

from __future__ import annotations

from bucketops_jobs import retries
from bucketops_jobs.errors import TransientError
from bucketops_jobs.retries import Budget, pause


def test_pauses_are_anything_up_to_a_bound_that_doubles_to_a_limit() -> None:
    for attempt, bound in ((0, 0.1), (1, 0.2), (4, 1.6), (20, retries.LONGEST_PAUSE)):
        pauses = [pause(attempt, TransientError("later")) for _ in range(500)]
        assert 0.9 * bound < max(pauses) <= bound
        assert 0 <= min(pauses) < 0.1 * bound


def test_who_was_told_to_slow_down_comes_back_later() -> None:
    assert max(pause(0, TransientError("slow", throttled=True)) for _ in range(500)) > retries.FIRST_PAUSE


def test_a_dead_server_is_asked_as_often_as_time_allows() -> None:
    budget = Budget(0)
    assert [budget.spend(0) for _ in range(100)] == [0] * 100
    assert budget.spend(0) == 1
    assert budget.spend(0.75) == 0.25
    assert budget.spend(1) == 0
    assert budget.spend(1) == 1


def test_answers_earn_retries_up_to_the_full_budget() -> None:
    budget = Budget(0)
    for _ in range(100):
        budget.spend(0)
    budget.earn()
    assert [budget.spend(0) for _ in range(3)] == [0, 0, 1]
    for _ in range(1000):
        budget.earn()
    assert [bool(budget.spend(0)) for _ in range(101)] == [False] * 100 + [True]


def test_errors_are_final_when_nobody_has_had_an_answer_for_long() -> None:
    budget = Budget(0)
    assert not budget.hopeless(10**6)  # nobody has asked
    budget.failed(100)
    budget.failed(120)
    assert not budget.hopeless(100 + retries.DEAD_SECONDS)
    assert budget.hopeless(101 + retries.DEAD_SECONDS)
    budget.earn()
    assert not budget.hopeless(101 + retries.DEAD_SECONDS)
