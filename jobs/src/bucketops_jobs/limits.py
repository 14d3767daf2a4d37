"""How hard a worker works: adaptive concurrency, retries with jitter, and live rate limits."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bucketops_api.contract import Limits
from bucketops_jobs.errors import StoppedError, TransientError

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 8
FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 10.0  # seconds
START_CONCURRENCY = 8
SLOWER_THAN_FLOOR = 3.0
"""Growth stops while the mean latency is above this multiple of the best one seen."""


class Gate:
    """At most `limit` calls at once: grows while latency is flat, cut by a third when the store says SlowDown."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(START_CONCURRENCY, most))
        self.active = 0
        self._floor = float("inf")
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.active < max(1, int(self.limit)))
            self.active += 1

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self.active -= 1
            self._changed.notify()

    def answered(self, seconds: float) -> None:
        """A call took `seconds`."""
        with self._changed:
            self._floor = min(self._floor * 1.001, seconds)
            if seconds < self._floor * SLOWER_THAN_FLOOR:
                self.limit = min(self.most, self.limit + 1 / max(self.limit, 1))

    def throttled(self) -> None:
        """The store asked for less."""
        with self._changed:
            self.limit = max(1.0, self.limit * 2 / 3)


@dataclass
class Bucket:
    """A token bucket: `take` answers how long to wait until the rate allows it. The burst is one second's worth."""

    rate: float | None = None
    _tokens: float = 0.0
    _last: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, amount: float = 1.0) -> float:
        with self._lock:
            return self._reserve(amount)

    def _reserve(self, amount: float) -> float:
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        if self.rate is None:
            return 0.0
        self._tokens = min(self.rate, self._tokens + elapsed * self.rate) - amount
        return max(0.0, -self._tokens / self.rate)


class Pace:
    """The gate and the rates of one worker; `refresh` reads the live limits file again."""

    def __init__(self, concurrency: int, limits_file: Path | None, stop: threading.Event) -> None:
        self.gate = Gate(concurrency)
        self.requests = Bucket()
        self.bytes = Bucket()
        self.max_replication_lag: float | None = None
        self.stop = stop
        self.retries = 0
        self._file = limits_file

    def refresh(self) -> None:
        """Take over what the limits file says now; an absent or half-written one changes nothing."""
        if self._file is None:
            return
        try:
            limits = Limits.model_validate(json.loads(self._file.read_text()))
        except (OSError, ValueError) as error:
            log.debug("limits not read: %s", error)
            return
        self.requests.rate = limits.requests_per_second
        self.bytes.rate = limits.bytes_per_second
        self.max_replication_lag = limits.max_replication_lag_seconds

    def call(self, function: Callable[[], T], *, cost: int = 0) -> T:
        """Call under the gate and the rates, again after transient errors; `cost` is in bytes."""
        for attempt in range(ATTEMPTS):
            try:
                return self._once(function, cost)
            except TransientError as error:
                self.retries += 1
                if error.throttled:
                    self.gate.throttled()
                if attempt == ATTEMPTS - 1:
                    raise
                self._pause(attempt)
        raise AssertionError("unreachable")

    def _once(self, function: Callable[[], T], cost: int) -> T:
        pause = max(self.requests.take(), self.bytes.take(cost) if cost else 0.0)
        if pause and self.stop.wait(pause):
            raise StoppedError("told to stop while waiting for its turn")
        with self.gate:
            start = time.monotonic()
            answer = function()
            self.gate.answered(time.monotonic() - start)
            return answer

    def _pause(self, attempt: int) -> None:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
        if self.stop.wait(random.uniform(longest / 2, longest)):  # noqa: S311 - jitter
            raise StoppedError("told to stop while waiting to retry")
