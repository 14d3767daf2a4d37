"""The worker loop, without a cluster: what is reconciled is a function of the test."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bucketops_api.reasons import Reason
from bucketops_operator.errors import (
    ApiError,
    Consequence,
    NamespaceEndsError,
    StalledError,
    WaitingError,
    consequence,
    refusal,
)
from bucketops_operator.workqueue import Key, Outcome, WorkQueue

ONE, TWO = Key("S3Migration", "shop", "one"), Key("S3Migration", "shop", "two")
Script = Callable[[Key], Outcome]


class Recorder:
    """Counts calls, and how many of one resource run at once."""

    def __init__(self, script: Script = lambda _: Outcome(), seconds: float = 0.0) -> None:
        self.calls: list[Key] = []
        self.told: list[tuple[Key, Consequence]] = []
        self.at_once: dict[Key, int] = {}
        self.most: dict[Key, int] = {}
        self._script, self._seconds, self._lock = script, seconds, threading.Lock()

    def __call__(self, key: Key) -> Outcome:
        with self._lock:
            self.calls.append(key)
            self.at_once[key] = self.at_once.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self.at_once[key])
        time.sleep(self._seconds)
        with self._lock:
            self.at_once[key] -= 1
        return self._script(key)

    def tell(self, key: Key, _: Exception, decided: Consequence) -> None:
        self.told.append((key, decided))


def play(recorder: Recorder, story: Callable[[WorkQueue], Awaitable[None]], gap: float = 0.01) -> None:
    async def run() -> None:
        queue = WorkQueue(recorder, recorder.tell, gap=gap, patience=0.05)
        try:
            await story(queue)
        finally:
            await queue.stop()

    asyncio.run(run())


async def reaches(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is set by threads
            await asyncio.sleep(0.005)


def test_two_reconciles_of_one_resource_never_overlap() -> None:
    recorder = Recorder(seconds=0.02)

    async def story(queue: WorkQueue) -> None:
        for _ in range(20):
            queue.mark(ONE)
            queue.mark(TWO)
            await asyncio.sleep(0.01)

    play(recorder, story, gap=0.0)
    assert recorder.most == {ONE: 1, TWO: 1}


def test_a_mark_during_a_reconcile_leads_to_one_more() -> None:
    recorder = Recorder(seconds=0.05)

    async def story(queue: WorkQueue) -> None:
        queue.mark(ONE)
        await reaches(lambda: len(recorder.calls) == 1)
        for _ in range(5):
            queue.mark(ONE)
        await reaches(lambda: len(recorder.calls) == 2)
        await asyncio.sleep(0.2)

    play(recorder, story)
    assert len(recorder.calls) == 2


def test_a_requeue_comes_back_without_a_mark() -> None:
    recorder = Recorder(lambda _: Outcome(timedelta(milliseconds=20)))

    async def story(queue: WorkQueue) -> None:
        queue.mark(ONE)
        await reaches(lambda: len(recorder.calls) >= 3)

    play(recorder, story)
    assert set(recorder.calls) == {ONE}


def test_marks_in_a_row_keep_the_gap() -> None:
    recorder, began = Recorder(), time.monotonic()

    async def story(queue: WorkQueue) -> None:
        for _ in range(50):
            queue.mark(ONE)
            await asyncio.sleep(0.01)

    play(recorder, story, gap=0.2)
    gaps = (time.monotonic() - began) / 0.2
    assert 2 <= len(recorder.calls) <= gaps + 2


def test_a_resource_that_is_gone_has_no_worker_and_gets_one_when_it_comes_back() -> None:
    recorder = Recorder(lambda _: Outcome(gone=True))

    async def story(queue: WorkQueue) -> None:
        for _ in range(2):
            queue.mark(ONE)
            await reaches(lambda: queue.known() == ())

    play(recorder, story)
    assert recorder.calls == [ONE, ONE]


def test_an_error_is_told_and_tried_again_while_others_go_on() -> None:
    def script(key: Key) -> Outcome:
        if key == ONE:
            raise WaitingError("not yet", timedelta(milliseconds=20))
        return Outcome()

    recorder = Recorder(script)

    async def story(queue: WorkQueue) -> None:
        queue.mark(ONE)
        queue.mark(TWO)
        await reaches(lambda: recorder.calls.count(ONE) >= 3 and TWO in recorder.calls)

    play(recorder, story)
    assert {key for key, _ in recorder.told} == {ONE}


def test_what_only_the_user_can_change_is_not_tried_again_before_a_mark() -> None:
    def script(_: Key) -> Outcome:
        raise StalledError(Reason.REFUSED, "change it")

    recorder = Recorder(script)

    async def story(queue: WorkQueue) -> None:
        queue.mark(ONE)
        await reaches(lambda: len(recorder.calls) == 1)
        await asyncio.sleep(0.2)
        assert len(recorder.calls) == 1
        queue.mark(ONE)
        await reaches(lambda: len(recorder.calls) == 2)

    play(recorder, story)


def test_a_failure_to_tell_does_not_end_the_worker() -> None:
    def script(_: Key) -> Outcome:
        raise WaitingError("not yet", timedelta(0))

    recorder = Recorder(script)

    def broken(*_: object) -> None:
        raise OSError("the API server is away")

    async def story(_: WorkQueue) -> None:
        queue = WorkQueue(recorder, broken, gap=0.0)
        queue.mark(ONE)
        await reaches(lambda: len(recorder.calls) >= 2)
        await queue.stop()

    play(recorder, story)
    assert len(recorder.calls) >= 2


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (5, 16), (6, 30), (500, 30)])
def test_retries_double_from_one_second_to_half_a_minute(attempt: int, seconds: float) -> None:
    assert consequence(OSError("x"), attempt, jitter=0).delay == timedelta(seconds=seconds)


def test_jitter_cuts_a_delay_by_a_half_at_most_and_never_below_a_second() -> None:
    assert consequence(OSError("x"), 5, jitter=1).delay == timedelta(seconds=8)
    assert consequence(OSError("x"), 1, jitter=1).delay == timedelta(seconds=1)


def test_one_event_tells_of_the_first_try_alone() -> None:
    assert consequence(OSError("x"), 1).reason == Reason.RETRYING
    assert consequence(OSError("x"), 2).reason is None


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (422, "spec.template: Invalid value", StalledError),
        (400, "quantities must match the regular expression", StalledError),
        (403, "cannot create resource jobs", StalledError),
        (403, "jobs.batch is forbidden: exceeded quota: small", WaitingError),
        (403, "unable to create new content because it is being terminated", NamespaceEndsError),
        (409, "the object has been modified", WaitingError),
        (500, "etcd is away", ApiError),
        (429, "too many requests", ApiError),
    ],
)
def test_a_refusal_says_whether_the_user_must_act(status: int, message: str, expected: type[Exception]) -> None:
    assert type(refusal(ApiError(status, "", message), "Job a")) is expected
