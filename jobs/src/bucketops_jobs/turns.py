"""What each request of a worker passes through: slots, live rates, the budget of retries, the counts."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from bucketops_api import counts
from bucketops_api.contract import Limits
from bucketops_jobs.errors import TransientError
from bucketops_jobs.gate import Gate
from bucketops_jobs.metrics import Metrics
from bucketops_jobs.rates import Bucket
from bucketops_jobs.retries import Budget

log = logging.getLogger(__name__)

Tickets = tuple[float, float]
_FRESH = 2.0
"""Seconds for which the limits file is believed."""
_SHOWN_AFTER = 1.0
"""Seconds without an answer; whatever is over sooner is no wait for people."""
_CLASS = 18
"""Requests of up to 2^18 bytes should take equally long, and those between any two further powers of two."""


class Turns:
    """Shared by all requests of one worker, whatever sends them; safe for threads."""

    def __init__(self, concurrency: int, limits_file: Path | None, stop: threading.Event) -> None:
        now = time.monotonic()
        self.gate = Gate(concurrency)
        self.requests, self.bytes = Bucket(now=now), Bucket(now=now)
        self.budget = Budget(now)
        self.metrics = Metrics(self.gate)
        self.max_replication_lag: float | None = None
        self.stop = stop
        self.retries = 0
        self._silent_since: float | None = None
        """Seconds since 1970 of the first failure after the last answer."""
        self._file, self._read_at = limits_file, now

    def refresh(self) -> None:
        """Take over what the limits file says now; an absent or half-written one changes nothing."""
        now = self._read_at = time.monotonic()
        if self._file is None:
            return
        try:
            limits = Limits.model_validate(json.loads(self._file.read_text()))
        except (OSError, ValueError) as error:
            log.debug("limits not read: %s", error)
            return
        self.requests.change(limits.requests_per_second, now)
        self.bytes.change(limits.bytes_per_second, now)
        self.max_replication_lag = limits.max_replication_lag_seconds

    def refresh_at_times(self, now: float) -> None:
        """Refresh if the last time is a while ago."""
        if now - self._read_at > _FRESH:
            self.refresh()

    def tickets(self, cost: int, now: float) -> Tickets:
        """Queue up for both rates; `cost` is in bytes."""
        return self.requests.take(1, now), self.bytes.take(cost, now)

    def wait(self, tickets: Tickets, now: float) -> float:
        """Seconds until it is their turn, at the present rates."""
        return max(self.requests.wait(tickets[0], now), self.bytes.wait(tickets[1], now))

    def answered(self, operation: str, cost: int, started: float, now: float) -> None:
        """A request has its answer, be it a refusal of that one object."""
        self.gate.answered((operation, (cost >> _CLASS).bit_length()), started, now)
        self.budget.earn()
        self._silent_since = None
        self.metrics.answered(operation, now - started)

    def failed(self, error: TransientError, started: float, now: float) -> None:
        """A request failed in a way that another time might not."""
        self.budget.failed(now)
        if self._silent_since is None:
            self._silent_since = time.time()
        if error.throttled:
            self.gate.slowed(started, now)
            self.metrics.throttled()

    def waits(self) -> Mapping[str, int]:
        """Return by `counts.waits` that the store has answered nothing but errors, if so for more than a moment."""
        since = self._silent_since
        late = since is not None and time.time() - since > _SHOWN_AFTER
        return {counts.waits("store", int(since)): 1} if since is not None and late else {}

    def again(self) -> None:
        """A request is sent again."""
        self.retries += 1
        self.metrics.sent_again()
