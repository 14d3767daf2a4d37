"""Calls in turn, and again after transient errors."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from bucketops_api import counts
from bucketops_jobs import retries
from bucketops_jobs.errors import ItemError, StoppedError, TransientError
from bucketops_jobs.pace import Pace
from bucketops_jobs.retries import ATTEMPTS


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pace:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    return Pace(16, tmp_path / "limits.json", threading.Event())


def failing(times: int, error: Exception) -> tuple[list[int], object]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "answer"

    return calls, call


def test_a_transient_error_is_tried_again(pace: Pace) -> None:
    calls, call = failing(2, TransientError("later"))
    assert pace.call(call) == "answer"
    assert (len(calls), pace.retries) == (3, 2)


def test_retries_come_to_an_end(pace: Pace) -> None:
    calls, call = failing(99, TransientError("later"))
    with pytest.raises(TransientError):
        pace.call(call)
    assert (len(calls), pace.retries) == (ATTEMPTS, ATTEMPTS - 1)


def test_other_errors_are_not_tried_again(pace: Pace) -> None:
    calls, call = failing(1, ItemError("no"))
    with pytest.raises(ItemError):
        pace.call(call)
    assert len(calls) == 1


def test_a_slot_is_given_back_whatever_happens(pace: Pace) -> None:
    for error in (ItemError("no"), TransientError("later"), ValueError("a bug")):
        _, call = failing(99, error)
        with pytest.raises(type(error)):
            pace.call(call)
        assert pace.gate.active == 0


def test_slow_down_narrows_the_gate(pace: Pace) -> None:
    before = pace.gate.limit
    _, call = failing(1, TransientError("SlowDown", throttled=True))
    pace.call(call)
    assert pace.gate.limit < before


def test_an_empty_budget_makes_retries_wait_for_answers_or_time(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is dead is asked again as often as time allows, not as often as there are calls."""
    monkeypatch.setattr(retries, "PER_SECOND", 20.0)
    while not pace.budget.spend(time.monotonic()):
        pass
    began = time.monotonic()
    _, call = failing(3, TransientError("later"))
    pace.call(call)
    assert time.monotonic() - began > 2 / 20


def test_waiting_for_a_turn_ends_at_once_when_told_to_stop(pace: Pace) -> None:
    pace.requests.change(0.01, time.monotonic())
    threading.Timer(0.05, pace.stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        pace.call(lambda: "answer")
    assert time.monotonic() - started < 20


def test_who_waits_for_a_turn_notices_a_new_limit(pace: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request per hour was a slip: whoever mends it need not wait for the hour."""
    monkeypatch.setattr("bucketops_jobs.turns._FRESH", 0.05)
    monkeypatch.setattr("bucketops_jobs.pace._SLICE", 0.05)
    (tmp_path / "limits.json").write_text('{"requestsPerSecond": 0.0003}')
    pace.refresh()
    threading.Timer(0.1, (tmp_path / "limits.json").write_text, ["{}"]).start()
    assert pace.call(lambda: "answer") == "answer"


def test_limits_are_read_live_and_a_broken_file_changes_nothing(pace: Pace, tmp_path: Path) -> None:
    file = tmp_path / "limits.json"
    pace.refresh()
    assert pace.requests.rate is None
    file.write_text('{"requestsPerSecond": 5, "bytesPerSecond": 1000, "maxReplicationLagSeconds": 2}')
    pace.refresh()
    assert (pace.requests.rate, pace.bytes.rate, pace.max_replication_lag) == (5, 1000, 2)
    file.write_text('{"requestsPerSecond": ')
    pace.refresh()
    assert pace.requests.rate == 5
    file.write_text("{}")
    pace.refresh()
    assert pace.requests.rate is None


def test_a_store_that_answers_nothing_but_errors_is_named_until_it_answers(
    pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("bucketops_jobs.turns.time.time", lambda: now[0])
    pace.failed(TransientError("no route"), 0.0, 0.1)
    assert pace.waits() == {}
    now[0] = 1005.5
    pace.failed(TransientError("no route"), 5.0, 5.5)
    assert pace.waits() == {counts.waits("store", 1000): 1}
    pace.answered("copy", 0, 5.6, 5.7)
    assert pace.waits() == {}
