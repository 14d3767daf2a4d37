"""What a worker's requests cost and meet, counted as cheaply as can be; exposition.py shows it to Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field

from bucketops_api import counts
from bucketops_jobs.gate import Gate

OPERATIONS = ("list", "head", "get", "put", "copy", "delete", "other")
BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds: of the answers that each number of `Times.counts` stands for, the longest. The last number has no bound."""


@dataclass
class Times:
    """How long the answers to one operation took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0
    """Seconds."""


class Metrics:
    """The requests of one worker; safe for threads."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.retries = 0
        self.throttles = 0
        self._times = {name: Times() for name in OPERATIONS}
        self._lock = threading.Lock()

    def answered(self, operation: str, seconds: float) -> None:
        """Count an answer."""
        times, place = self._times[operation], bisect_left(BOUNDS, seconds)
        with self._lock:
            times.counts[place] += 1
            times.total += seconds

    def throttled(self) -> None:
        """Count an answer by SlowDown, or one that did not come in time."""
        with self._lock:
            self.throttles += 1

    def sent_again(self) -> None:
        """Count a request that is sent again."""
        with self._lock:
            self.retries += 1

    def live(self) -> dict[str, int]:
        """Return what the operator reads of them."""
        answers = sum(sum(times.counts) for times in self.times().values())
        return {counts.REQUESTS: answers, counts.RETRIES: self.retries, counts.THROTTLES: self.throttles}

    def times(self) -> dict[str, Times]:
        """Return the answers so far by operation."""
        with self._lock:
            return {name: Times(list(times.counts), times.total) for name, times in self._times.items()}
