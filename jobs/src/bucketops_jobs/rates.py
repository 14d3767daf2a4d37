"""Rate limits: first come, first served, and live: who waits feels a new rate at once. Pure; times are given in."""

from __future__ import annotations

import threading


class Bucket:
    """A token bucket. An idle one keeps one second's worth, or one whole token where the rate is lower than that."""

    def __init__(self, rate: float | None = None, *, now: float) -> None:
        self._rate = rate
        self._earned = self._taken = 0.0
        self._then = now
        self._lock = threading.Lock()

    @property
    def rate(self) -> float | None:
        """Tokens per second; None: as many as are asked for."""
        return self._rate

    def change(self, rate: float | None, now: float) -> None:
        """Go on at another rate."""
        with self._lock:
            self._earn(now)
            self._rate = rate

    def take(self, amount: float, now: float) -> float:
        """Take tokens and return a ticket: the turn comes when `wait` says 0."""
        with self._lock:
            self._earn(now)
            self._taken += amount
            return self._taken

    def wait(self, ticket: float, now: float) -> float:
        """Seconds until the ticket's turn, at the present rate."""
        if self._rate is None:
            return 0.0
        with self._lock:
            self._earn(now)
            return max(0.0, (ticket - self._earned) / self._rate)

    def _earn(self, now: float) -> None:
        elapsed, self._then = max(0.0, now - self._then), max(now, self._then)
        if self._rate is None:
            self._earned = self._taken
        else:
            self._earned = min(self._earned + elapsed * self._rate, self._taken + max(self._rate, 1.0))
