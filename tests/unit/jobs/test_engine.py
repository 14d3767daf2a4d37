"""Chunks and bounded work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.engine import UNDER_WAY, Engine
from bucketops_jobs.errors import ItemError, StoppedError, TransientError, UserError
from bucketops_jobs.pace import Pace


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Pace(4, None, threading.Event()), 4) as made:
        yield made


def test_chunks_hold_every_item_once_in_order(engine: Engine) -> None:
    chunks = list(engine.chunks(range(10), 4))
    assert [list(chunk) for chunk in chunks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(engine.chunks([], 4)) == []


def test_answers_stand_in_the_order_of_the_items(engine: Engine) -> None:
    assert engine.map(lambda item: item * item, range(50)) == [n * n for n in range(50)]


def test_an_items_own_error_is_its_answer(engine: Engine) -> None:
    def work(item: int) -> int:
        if item == 1:
            raise ItemError("no")
        if item == 2:
            raise TransientError("later")
        return item

    answers = engine.map(work, [0, 1, 2, 3])
    assert (answers[0], answers[3]) == (0, 3)
    assert isinstance(answers[1], ItemError)
    assert isinstance(answers[2], TransientError)


def test_any_other_error_ends_the_run(engine: Engine) -> None:
    def work(_: int) -> int:
        raise UserError(Reason.ACCESS_DENIED, "mend it")

    with pytest.raises(UserError):
        engine.map(work, [1, 2])


def test_told_to_stop_no_further_item_begins(engine: Engine) -> None:
    engine.stop.set()
    answers = engine.map(lambda item: item, [1, 2])
    assert all(isinstance(answer, StoppedError) for answer in answers)


def test_told_to_stop_no_further_chunk_begins(engine: Engine) -> None:
    chunks = engine.chunks(range(10), 2)
    assert next(chunks) == (0, 1)
    engine.stop.set()
    with pytest.raises(StoppedError):
        next(chunks)


def test_a_worker_that_was_interrupted_never_passes_for_done(engine: Engine) -> None:
    engine.stop.set()
    with pytest.raises(StoppedError):
        list(engine.chunks([], 2))


def test_overlapped_items_are_all_processed_and_no_more_than_allowed_at_once(engine: Engine) -> None:
    begun: list[int] = []
    together = threading.Barrier(UNDER_WAY, timeout=10)
    most, now, lock = 0, 0, threading.Lock()

    def process(item: int) -> None:
        nonlocal most, now
        with lock:
            begun.append(item)
            now += 1
            most = max(most, now)
        together.wait()
        with lock:
            now -= 1

    engine.overlapped(process, range(3 * UNDER_WAY))
    assert sorted(begun) == list(range(3 * UNDER_WAY))
    assert most == UNDER_WAY


def test_an_error_ends_an_overlapped_run_once_what_is_under_way_has_ended(engine: Engine) -> None:
    failed, ended, made = threading.Event(), list[int](), list[int]()

    def process(item: int) -> None:
        if item == 0:
            failed.set()
            raise UserError(Reason.ACCESS_DENIED, "mend it")
        failed.wait(10)
        time.sleep(0.2)
        ended.append(item)

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    with pytest.raises(UserError):
        engine.overlapped(process, items())
    assert made == list(range(UNDER_WAY))
    assert sorted(ended) == made[1:]
