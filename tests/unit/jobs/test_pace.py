"""How hard a worker works."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from bucketops_jobs import limits
from bucketops_jobs.errors import ItemError, StoppedError, TransientError
from bucketops_jobs.limits import ATTEMPTS, Bucket, Gate, Pace


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pace:
    monkeypatch.setattr(limits, "FIRST_PAUSE", 0.001)
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
    assert len(calls) == ATTEMPTS


def test_other_errors_are_not_tried_again(pace: Pace) -> None:
    calls, call = failing(1, ItemError("no"))
    with pytest.raises(ItemError):
        pace.call(call)
    assert len(calls) == 1


def test_slow_down_cuts_by_a_third_and_answers_grow_again() -> None:
    gate = Gate(64)
    before = gate.limit
    gate.throttled()
    assert gate.limit == pytest.approx(before * 2 / 3)
    for _ in range(200):
        gate.answered(0.01)
    assert gate.limit > before


def test_concurrency_stays_within_its_bounds() -> None:
    gate = Gate(4)
    for _ in range(100):
        gate.answered(0.01)
    assert gate.limit == 4
    for _ in range(100):
        gate.throttled()
    assert gate.limit == 1


def test_growth_stops_while_answers_are_slow() -> None:
    gate = Gate(64)
    gate.answered(0.01)
    before = gate.limit
    gate.answered(0.1)
    assert gate.limit == before


def test_never_more_at_once_than_the_gate_allows() -> None:
    gate, most, lock = Gate(3), [0], threading.Lock()

    def work() -> None:
        for _ in range(20):
            with gate:
                with lock:
                    most[0] = max(most[0], gate.active)
                time.sleep(0.0005)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 3
    assert gate.active == 0


def test_a_bucket_keeps_its_rate() -> None:
    bucket = Bucket(rate=100.0)
    waits = [bucket.take() for _ in range(50)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(0.5, abs=0.05)


def test_a_bucket_without_a_rate_never_waits() -> None:
    bucket = Bucket()
    assert [bucket.take(10**9) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_bucket_takes_rates_below_one() -> None:
    bucket = Bucket(rate=0.25)
    assert bucket.take() == pytest.approx(4.0, abs=0.1)


def test_waiting_for_a_turn_ends_at_once_when_told_to_stop(pace: Pace) -> None:
    pace.requests.rate = 0.01
    threading.Timer(0.05, pace.stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        pace.call(lambda: "answer")
    assert time.monotonic() - started < 2


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
