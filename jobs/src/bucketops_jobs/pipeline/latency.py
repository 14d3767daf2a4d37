"""How long the pictures of the last minutes took, as counts that add up over pods."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping

from bucketops_api.counts import LATENCY, LATENCY_BOUNDS_MS

WINDOW = 300.0
"""Seconds."""


class Recent:
    """Safe for threads; times are in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def add(self, now: float, seconds: float) -> None:
        """A picture took so long; a clock that is behind cannot make it negative."""
        milliseconds = max(0, round(seconds * 1000))
        index = min(bisect_left(LATENCY_BOUNDS_MS, milliseconds), len(LATENCY_BOUNDS_MS) - 1)
        with self._lock:
            self._seen.append((now, LATENCY_BOUNDS_MS[index]))

    def counts(self, now: float) -> Mapping[str, int]:
        """By name, how many took at most so many milliseconds, and more than the bound before."""
        with self._lock:
            while self._seen and self._seen[0][0] < now - WINDOW:
                self._seen.popleft()
            return Counter(f"{LATENCY}{bound}" for _, bound in self._seen)
