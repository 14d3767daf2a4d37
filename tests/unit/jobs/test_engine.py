"""Chunks and bounded work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.engine import Engine
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
