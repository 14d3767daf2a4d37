"""What a worker says that it waits for."""

from __future__ import annotations

import pytest

from bucketops_api import counts
from bucketops_jobs.migration import waits
from bucketops_jobs.migration.waits import Waits


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(waits.time, "time", lambda: self.now)


def test_the_first_of_several_waits_is_told_and_short_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, worker = Clock(monkeypatch), Waits()
    with worker.on("database"):
        assert worker.now() == {}
        clock.now = 1010.0
        with worker.on("database"), worker.on("replicas"):
            clock.now = 1012.0
            assert worker.now() == {"now/waits/database/1000": 1, "now/waits/replicas/1010": 1}
    assert worker.now() == {}


def test_a_wait_that_an_error_ends_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, worker = Clock(monkeypatch), Waits()
    with pytest.raises(ZeroDivisionError), worker.on("database"):
        raise ZeroDivisionError
    clock.now = 2000.0
    assert worker.now() == {}


def test_waits_of_workers_add_up() -> None:
    one, other = {counts.waits("database", 10): 1}, {counts.waits("database", 20): 1, "objects/moved": 3}
    assert counts.waiting(counts.add(one, other)) == {"database": (10, 2)}
    assert counts.waiting(counts.add(one, one)) == {"database": (10, 2)}
