"""How a worker calls the store: at the pace that both can bear, and again after transient errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from bucketops_jobs import retries
from bucketops_jobs.errors import ItemError, StoppedError, TransientError, WorkerError
from bucketops_jobs.flow import Flow
from bucketops_jobs.turns import Turns

T = TypeVar("T")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
_SLICE = 1.0
"""Seconds of sleep after which the limits are looked at again."""


class Pace(Turns):
    """The pace of one worker; `refresh` reads the live limits file again."""

    def call(self, function: Callable[[], T], *, cost: int = 0, operation: str = "other") -> T:
        """Call in turn, again after transient errors. `cost` is in bytes; `operation` is one of metrics.OPERATIONS.

        StoppedError when told to stop while waiting.
        """
        for attempt in range(retries.ATTEMPTS):
            try:
                return self._once(function, cost, operation)
            except TransientError as error:
                if retries.is_last(attempt, error):
                    raise retries.final(error) from error.__cause__
                self._sleep(retries.pause(attempt, error))
                self._wait(lambda now: 0.0 if self.budget.hopeless(now) else self.budget.spend(now))
                if self.budget.hopeless(time.monotonic()):
                    raise
            self.again()
        raise AssertionError("unreachable")

    def flow(
        self,
        items: Iterable[Item],
        start: Callable[[Item, Callable[[Answer | WorkerError], None]], Callable[[], None]],
        *,
        cost: Callable[[Item], int],
        operation: str = "other",
    ) -> Iterator[tuple[Item, Answer | WorkerError]]:
        """Requests for all items, as many at once as may be, driven by this one thread; answers as they arrive.

        `start` begins a request and returns what cancels it; from any thread it calls once what it was given, with the
        answer. `cost` is in bytes. An item's own error is its answer, after all attempts if it is transient; any other
        error (UserError, ShardError) cancels what is in flight and is raised. Told to stop, what is in flight may
        finish for a few seconds; everything else, the rest of `items` included, is answered by StoppedError. Who
        abandons the iterator cancels what is in flight.
        """
        return Flow(self, items, start, cost, operation).answers()

    def _once(self, function: Callable[[], T], cost: int, operation: str) -> T:
        tickets = self.tickets(cost, time.monotonic())
        self._wait(lambda now: self.wait(tickets, now))
        self.gate.enter()
        started = time.monotonic()
        try:
            answer = function()
        except TransientError as error:
            self.failed(error, started, time.monotonic())
            raise
        except ItemError:
            self.answered(operation, cost, started, time.monotonic())
            raise
        finally:
            self.gate.leave()
        self.answered(operation, cost, started, time.monotonic())
        return answer

    def _wait(self, left: Callable[[float], float]) -> None:
        """Sleep until nothing is left to wait for, and notice when the limits change."""
        while seconds := left(time.monotonic()):
            self._sleep(min(seconds, _SLICE))
            self.refresh_at_times(time.monotonic())

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError("told to stop while waiting for its turn")
