"""Hundreds of requests driven by one thread; the server is a thread that answers as a test says."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs import flow, retries
from bucketops_jobs.errors import (
    ItemError,
    NotFoundError,
    StoppedError,
    TransientError,
    UnreachableError,
    UserError,
    WorkerError,
)
from bucketops_jobs.pace import Pace

Done = Callable[[str | WorkerError], None]
HELD = None
"""An answer that comes only when the request is cancelled."""


@dataclass
class Server:
    """Answers each request from a thread of its own, as `rule` says for the item and its attempt."""

    rule: Callable[[int, int], str | WorkerError | None] = lambda *_: "ok"
    attempts: Counter[int] = field(default_factory=Counter)
    cancelled: list[int] = field(default_factory=list)
    open: dict[int, Done] = field(default_factory=dict)
    most: int = 0

    def __post_init__(self) -> None:
        self._queue: SimpleQueue[tuple[int, int]] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def start(self, item: int, done: Done) -> Callable[[], None]:
        self.open[item] = done
        self.most = max(self.most, len(self.open))
        self._queue.put((item, self.attempts[item]))
        self.attempts[item] += 1
        return lambda: self._cancel(item)

    def _serve(self) -> None:
        while True:
            item, attempt = self._queue.get()
            answer = self.rule(item, attempt)
            if answer is not HELD and (done := self.open.pop(item, None)):
                done(answer)

    def _cancel(self, item: int) -> None:
        done = self.open.pop(item, None)
        if done is not None:
            self.cancelled.append(item)
            done(TransientError("cancelled"))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(retries, "FIRST_PAUSE_THROTTLED", 0.001)
    monkeypatch.setattr(flow, "FINISH_SECONDS", 0.1)


@pytest.fixture
def pace() -> Pace:
    return Pace(16, None, threading.Event())


def answers(pace: Pace, server: Server, items: Iterator[int] | range) -> Iterator[tuple[int, str | WorkerError]]:
    return pace.flow(items, server.start, cost=lambda _: 10, operation="copy")


def test_every_item_is_answered_once(pace: Pace) -> None:
    server = Server(lambda item, _: f"answer {item}")
    found = list(answers(pace, server, range(1000)))
    assert sorted(found) == [(n, f"answer {n}") for n in range(1000)]
    assert pace.gate.active == 0


def test_no_items_no_answers(pace: Pace) -> None:
    assert list(answers(pace, Server(), range(0))) == []


def test_answers_may_come_before_the_request_has_been_sent(pace: Pace) -> None:
    """A client may answer at once, from the very thread that sends."""

    def start(_: int, done: Done) -> Callable[[], None]:
        done("at once")
        return lambda: None

    assert len(list(pace.flow(range(100), start, cost=lambda _: 0))) == 100
    assert pace.gate.active == 0


def test_never_more_in_flight_than_the_gate_allows() -> None:
    pace, server = Pace(5, None, threading.Event()), Server()
    assert len(list(answers(pace, server, range(500)))) == 500
    assert server.most == 5


def test_items_are_pulled_as_they_are_needed(pace: Pace) -> None:
    """Memory does not grow with the number of items."""
    pulled = itertools.count()
    stream = answers(pace, Server(), map(lambda _: next(pulled), itertools.count()))  # noqa: C417 - without an end
    for _ in range(100):
        next(stream)
    stream.close()
    assert next(pulled) <= 100 + 2 * 16 + 1


def test_transient_errors_are_tried_again_while_others_go_on(pace: Pace) -> None:
    server = Server(lambda item, attempt: TransientError("later") if item % 10 == 0 and attempt < 2 else "ok")
    assert sorted(answers(pace, server, range(100))) == [(n, "ok") for n in range(100)]
    assert server.attempts == {n: 3 if n % 10 == 0 else 1 for n in range(100)}
    assert pace.retries == 20


def test_after_its_attempts_an_item_is_given_up_with_its_error(pace: Pace) -> None:
    server = Server(lambda item, _: TransientError("still not") if item == 3 else "ok")
    found = dict(answers(pace, server, range(10)))
    assert str(found.pop(3)) == "still not"
    assert set(found.values()) == {"ok"}
    assert server.attempts[3] == retries.ATTEMPTS


def test_an_items_own_error_is_its_answer(pace: Pace) -> None:
    server = Server(lambda item, _: NotFoundError("gone") if item == 3 else "ok")
    found = dict(answers(pace, server, range(10)))
    assert isinstance(found[3], ItemError)
    assert server.attempts[3] == 1


def test_any_other_error_cancels_what_is_in_flight_and_is_raised(pace: Pace) -> None:
    server = Server(lambda item, _: UserError(Reason.ACCESS_DENIED, "mend it") if item == 9 else HELD)
    with pytest.raises(UserError):
        list(answers(pace, server, range(100)))
    assert sorted(server.cancelled) == [n for n in range(16) if n != 9]
    assert pace.gate.active == 0


def test_what_many_fail_in_is_not_hoarded(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a server that only fails, no more items are pulled than may wait for another attempt."""
    monkeypatch.setattr(retries, "PER_SECOND", 1000.0)
    pulled = itertools.count()
    stream = answers(pace, Server(lambda *_: TransientError("no")), iter(lambda: next(pulled), -1))
    for _ in range(5):
        next(stream)
    stream.close()
    assert next(pulled) <= 16 + 16 + 5 + 1


def test_a_dead_server_is_asked_less_and_less_and_given_up_after_a_while(
    pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget holds back retries; when nobody has had an answer for long, every item ends with its error."""
    monkeypatch.setattr(retries, "DEAD_SECONDS", 0.5)
    server = Server(lambda *_: UnreachableError("nobody answers"))
    found = list(answers(pace, server, range(200)))
    assert sorted(item for item, _ in found) == list(range(200))
    assert all(isinstance(answer, UnreachableError) for _, answer in found)
    assert sum(server.attempts.values()) <= 200 + retries.BUDGET + 5
    assert pace.gate.active == 0


def test_slow_down_narrows_the_gate_once_for_all_that_were_in_flight(pace: Pace) -> None:
    """Sixteen at once are refused: the limit falls by a third, not to one."""
    waiting: list[Done] = []

    def start(_: int, done: Done) -> Callable[[], None]:
        if len(waiting) >= 16:
            done("ok")
        else:
            waiting.append(done)
        if len(waiting) == 16 and done is waiting[-1]:
            for one in waiting:
                one(TransientError("SlowDown", throttled=True))
        return lambda: None

    limits = [pace.gate.limit for _ in pace.flow(range(16), start, cost=lambda _: 0)]
    assert min(limits) == 10


def test_told_to_stop_nobody_is_left_without_an_answer(pace: Pace) -> None:
    """What is in flight may finish; what does not is cancelled; what never began is said so too."""
    server = Server(lambda item, _: HELD if item % 2 else "ok")
    stream = answers(pace, server, range(200))
    found = [next(stream) for _ in range(8)]
    pace.stop.set()
    found += stream
    assert sorted(item for item, _ in found) == list(range(200))
    stopped = {item for item, answer in found if isinstance(answer, StoppedError)}
    assert {item for item, answer in found if answer == "ok"} == set(range(200)) - stopped
    assert set(server.cancelled) <= stopped
    assert not server.open
    assert pace.gate.active == 0
    assert sum(server.attempts.values()) < 200


def test_told_to_stop_what_waits_for_another_attempt_is_answered(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "pause", lambda *_: 3600)
    server = Server(lambda item, _: TransientError("later") if item < 5 else "ok")
    stream = answers(pace, server, range(10))
    found = [next(stream) for _ in range(5)]
    pace.stop.set()
    found += stream
    assert {item for item, answer in found if isinstance(answer, StoppedError)} == set(range(5))


def test_a_request_that_cannot_be_cancelled_does_not_hold_the_worker(
    pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "CANCEL_SECONDS", 0.1)

    def start(item: int, done: Done) -> Callable[[], None]:
        if item:
            done("ok")
        return lambda: None

    stream = pace.flow(range(20), start, cost=lambda _: 0)
    found = [next(stream) for _ in range(19)]
    pace.stop.set()
    found += stream
    assert [item for item, answer in found if isinstance(answer, StoppedError)] == [0]


def test_who_abandons_the_answers_leaves_nothing_in_flight(pace: Pace) -> None:
    server = Server(lambda item, _: HELD if item > 3 else "ok")
    for item, _ in answers(pace, server, range(100)):
        if item == 3:
            break
    assert not server.open
    assert pace.gate.active == 0
    assert sum(server.attempts.values()) < 100


def test_an_error_of_the_items_leaves_nothing_in_flight(pace: Pace) -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise TransientError("the listing broke off")

    server = Server(lambda *_: HELD)
    with pytest.raises(TransientError):
        list(answers(pace, server, items()))
    assert len(server.cancelled) == 10
    assert pace.gate.active == 0


def test_a_server_that_answers_again_is_soon_asked_by_all_who_wait(pace: Pace) -> None:
    """Refusals have emptied the budget; the answers that follow fill it faster than time does."""
    while not pace.budget.spend(time.monotonic()):
        pass
    server = Server(lambda _, attempt: TransientError("later") if attempt < 1 else "ok")
    assert len(list(answers(pace, server, range(300)))) == 300
    assert pace.retries == 300


@pytest.mark.parametrize("most", [1, 16])
def test_an_error_of_the_client_itself_leaves_nothing_in_flight(most: int) -> None:
    pace, server = Pace(most, None, threading.Event()), Server(lambda *_: HELD)

    def start(item: int, done: Done) -> Callable[[], None]:
        if item == most - 1:
            raise ValueError("a bug")
        return server.start(item, done)

    with pytest.raises(ValueError, match="a bug"):
        list(pace.flow(range(100), start, cost=lambda _: 0))
    assert not server.open
    assert pace.gate.active == 0


def test_rates_hold_for_flows(pace: Pace) -> None:
    """Ten bytes each at 1,000 bytes a second: the clock cannot be beaten."""
    pace.bytes.change(1000.0, time.monotonic())
    began = time.monotonic()
    assert len(list(answers(pace, Server(), range(30)))) == 30
    assert time.monotonic() - began >= 0.29


def test_told_to_stop_while_waiting_for_a_turn(pace: Pace) -> None:
    pace.requests.change(0.001, time.monotonic())
    threading.Timer(0.05, pace.stop.set).start()
    found = list(answers(pace, Server(), range(5)))
    assert [item for item, answer in found if isinstance(answer, StoppedError)] == list(range(5))


def test_calls_of_the_items_and_of_the_consumer_pass_through_the_same_gate() -> None:
    """With a single slot: neither a listing that feeds a flow nor a journal behind it may wait for ever."""
    pace, server = Pace(1, None, threading.Event()), Server()

    def items() -> Iterator[int]:
        for item in range(50):
            pace.call(lambda: "listed", operation="list")
            yield item

    done = []
    for item, _ in answers(pace, server, items()):
        pace.call(lambda: "journalled", operation="put")
        done.append(item)
    assert done == list(range(50))


def test_calls_of_other_threads_get_their_turn_beside_a_flow() -> None:
    pace, server, calls = Pace(2, None, threading.Event()), Server(), []
    threads = [threading.Thread(target=lambda: calls.extend(pace.call(lambda: 1) for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(list(answers(pace, server, range(500)))) == 500
    for thread in threads:
        thread.join()
    assert len(calls) == 200
    assert pace.gate.active == 0


def test_two_flows_share_a_gate() -> None:
    pace = Pace(3, None, threading.Event())
    servers, found = [Server(), Server()], [list[object](), list[object]()]

    def work(number: int) -> None:
        found[number] += answers(pace, servers[number], range(300))

    threads = [threading.Thread(target=work, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(some) for some in found] == [300, 300]
    assert pace.gate.active == 0


def test_whatever_happens_every_item_is_answered_once(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of all kinds by chance, and a stop somewhere."""
    monkeypatch.setattr(retries, "PER_SECOND", 1000.0)
    chance = random.Random(5)

    def rule(*_: int) -> str | WorkerError | None:
        return chance.choice(
            ["ok", "ok", "ok", TransientError("later"), TransientError("slow", throttled=True), NotFoundError("gone")]
        )

    for _ in range(10):
        stop_at, pace.stop = chance.randrange(300), threading.Event()
        found = []
        for number, (item, _) in enumerate(answers(pace, Server(rule), range(200))):
            found.append(item)
            if number == stop_at:
                pace.stop.set()
        assert sorted(found) == list(range(200))
        assert pace.gate.active == 0
