"""Hundreds of asynchronous requests, driven by one thread."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty
from typing import Generic, TypeVar

from bucketops_jobs import retries
from bucketops_jobs.errors import ItemError, StoppedError, TransientError, WorkerError
from bucketops_jobs.mailbox import Mailbox
from bucketops_jobs.turns import Tickets, Turns

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")
FINISH_SECONDS = 5.0
"""What is in flight may finish for so long once told to stop …"""
CANCEL_SECONDS = 5.0
"""… and has so long to confirm that it was cancelled."""
_SLICE = 1.0
"""Seconds after which a thread that waits looks at `stop` and at the limits."""


@dataclass(slots=True, eq=False)
class _Request(Generic[Item]):
    """One item on its way, through all attempts."""

    item: Item
    cost: int
    attempt: int = 0
    tickets: Tickets | None = None
    started: float = 0.0
    cancel: Callable[[], None] | None = None
    error: TransientError | None = None
    """Of the last attempt."""


class Flow(Generic[Item, Answer]):
    """One run of Pace.flow. Only the callbacks of requests, which fill the queue of arrivals, are on other threads."""

    def __init__(
        self,
        turns: Turns,
        items: Iterable[Item],
        start: Callable[[Item, Callable[[Answer | WorkerError], None]], Callable[[], None]],
        cost: Callable[[Item], int],
        operation: str,
    ) -> None:
        self._turns, self._start, self._cost, self._operation = turns, start, cost, operation
        self._items = iter(items)
        self._exhausted = False
        self._arrivals: Mailbox[tuple[_Request[Item], float, Answer | WorkerError] | None] = Mailbox()
        """None: a slot has been taken for us."""
        self._flying: set[_Request[Item]] = set()
        self._ready: _Request[Item] | None = None
        """The one that starts next."""
        self._slot, self._refused = False, False
        """Whether a slot has been taken for it, or the gate had none."""
        self._queued = False
        """Whether a slot may be taken for it at any time."""
        self._later: list[tuple[float, int, _Request[Item]]] = []
        """By due time: what is to be tried again."""
        self._order = itertools.count()
        self._settled: deque[tuple[Item, Answer | WorkerError]] = deque()
        self._stopping = False
        self._granted = lambda: self._arrivals.put(None)

    def answers(self) -> Iterator[tuple[Item, Answer | WorkerError]]:
        """All items with their answers, as they arrive."""
        stop = self._turns.stop
        try:
            while not stop.is_set():
                wait = self._fill()
                if self._settled:
                    yield self._settled.popleft()
                    self._drain()
                elif self._flying or self._later or self._ready:
                    self._await(wait)
                else:
                    return
            yield from self._stopped()
        finally:
            self._abandon()

    def _fill(self) -> float:
        """Start what may start; return the seconds until time alone may let something more begin."""
        self._refused = False
        while True:
            now = time.monotonic()
            request = self._ready = self._ready or self._next(now)
            if request is None:
                return self._until_due(now)
            if request.tickets is None:
                request.tickets = self._turns.tickets(request.cost, now)
            if wait := self._turns.wait(request.tickets, now):
                self._give_back()
                return min(wait, _SLICE)
            if not self._slot and not self._turns.gate.try_enter():
                self._refused = True
                return _SLICE
            self._slot, self._ready = False, None
            self._send(request)

    def _next(self, now: float) -> _Request[Item] | None:
        """What was put back and is due, if the budget allows it; else a new item, unless too many were put back."""
        if self._later and self._later[0][0] <= now and (again := self._due(now)):
            return again
        if self._exhausted or len(self._later) >= self._turns.gate.most:
            return None
        for item in self._items:
            return _Request(item, self._cost(item))
        self._exhausted = True
        return None

    def _due(self, now: float) -> _Request[Item] | None:
        _, number, request = self._later[0]
        if request.error and self._turns.budget.hopeless(now):
            heapq.heappop(self._later)
            self._settled.append((request.item, request.error))
        elif wait := self._turns.budget.spend(now):
            heapq.heapreplace(self._later, (now + wait, number, request))
        else:
            heapq.heappop(self._later)
            self._turns.again()
            return request
        return None

    def _until_due(self, now: float) -> float:
        return min(_SLICE, max(0.0, self._later[0][0] - now)) if self._later else _SLICE

    def _send(self, request: _Request[Item]) -> None:
        def done(answer: Answer | WorkerError) -> None:
            now = time.monotonic()
            self._turns.gate.leave()
            self._arrivals.put((request, now, answer))

        self._flying.add(request)
        request.tickets, request.started = None, time.monotonic()
        try:
            request.cancel = self._start(request.item, done)
        except BaseException:
            self._flying.discard(request)
            self._turns.gate.leave()
            raise

    def _await(self, seconds: float) -> None:
        """Sleep until an answer, a slot or the time comes; then take all that has arrived."""
        self._turns.refresh_at_times(time.monotonic())
        if self._refused and self._turns.gate.ask(self._granted):
            self._slot = True
            return
        self._queued = self._refused
        with suppress(Empty):
            self._take(self._arrivals.get(timeout=seconds))
        self._drain()
        self._leave_queue()

    def _leave_queue(self) -> None:
        """Only who sleeps may queue for a slot: the consumer may be about to wait for one itself."""
        if self._queued and not self._turns.gate.withdraw(self._granted):
            while not self._slot:  # it came at the last moment
                self._take(self._arrivals.get())
        self._queued = False

    def _drain(self) -> None:
        for _ in range(self._arrivals.qsize()):
            self._take(self._arrivals.get())

    def _take(self, arrival: tuple[_Request[Item], float, Answer | WorkerError] | None) -> None:
        if arrival is None:
            self._slot, self._queued = True, False
            return
        request, now, answer = arrival
        self._flying.discard(request)
        if isinstance(answer, TransientError):
            self._turns.failed(answer, request.started, now)
            if self._put_back(request, answer, now):
                return
            answer = self._given_up(request, answer)
        elif isinstance(answer, ItemError) or not isinstance(answer, WorkerError):
            self._turns.answered(self._operation, request.cost, request.started, now)
        if isinstance(answer, WorkerError) and not isinstance(answer, TransientError | ItemError | StoppedError):
            raise answer
        self._settled.append((request.item, answer))

    def _given_up(self, request: _Request[Item], error: TransientError) -> WorkerError:
        """What it means that an item is not tried again."""
        return retries.final(error) if retries.is_last(request.attempt, error) else error

    def _put_back(self, request: _Request[Item], error: TransientError, now: float) -> bool:
        """Keep it for another attempt, if it has one."""
        if retries.is_last(request.attempt, error) or self._stopping or self._turns.budget.hopeless(now):
            return False
        due = now + retries.pause(request.attempt, error)
        request.attempt, request.error = request.attempt + 1, error
        heapq.heappush(self._later, (due, next(self._order), request))
        return True

    def _stopped(self) -> Iterator[tuple[Item, Answer | WorkerError]]:
        """Let what is in flight finish, or cancel it; nobody is left without an answer."""
        self._stopping = True
        yield from self._finished(FINISH_SECONDS)
        self._cancel()
        yield from self._finished(CANCEL_SECONDS)
        ready = [self._ready] if self._ready else []
        unfinished = (*self._flying, *ready, *(request for _, _, request in self._later))
        for item in itertools.chain((request.item for request in unfinished), self._items):
            yield item, StoppedError("told to stop before this was done")

    def _finished(self, seconds: float) -> Iterator[tuple[Item, Answer | WorkerError]]:
        """What finishes within this time. Transient errors, and what a cancelled request says, mean: not done."""
        until = time.monotonic() + seconds
        while True:
            while self._settled:
                item, answer = self._settled.popleft()
                failed = isinstance(answer, TransientError)
                yield item, StoppedError(f"told to stop; {answer}") if failed else answer
            left = until - time.monotonic()
            if not self._flying or left <= 0:
                return
            with suppress(Empty):
                self._take(self._arrivals.get(timeout=left))

    def _cancel(self) -> None:
        for request in self._flying:
            if request.cancel:
                request.cancel()

    def _give_back(self) -> None:
        if self._slot:
            self._slot = False
            self._turns.gate.leave()

    def _abandon(self) -> None:
        """Leave nothing behind: no slot, and no request that could still do something."""
        self._stopping = True
        self._cancel()
        until = time.monotonic() + CANCEL_SECONDS
        while self._flying and (left := until - time.monotonic()) > 0:
            with suppress(Empty, WorkerError):
                self._take(self._arrivals.get(timeout=left))
        if self._queued and not self._turns.gate.withdraw(self._granted):
            self._slot = True
        self._give_back()
        if self._flying:
            log.warning("requests do not end", extra={"requests": len(self._flying)})
