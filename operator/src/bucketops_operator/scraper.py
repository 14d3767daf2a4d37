"""Live counts beside the reconcile loop: workers are read in a thread of its own, and no reconcile waits for them.

A worker that answers slowly, or never, delays the live counts of its own resource alone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bucketops_operator.scrape import read_all

FIRST_WAIT = 1.0
"""Seconds that the first look at a resource waits for its workers: without their counts it would seem idle."""
KEEP_SECONDS = 600.0
"""Counts of a resource that nobody asks for are forgotten after this time."""

Read = Callable[[Mapping[str, str]], Awaitable[Mapping[str, Mapping[str, int]]]]


@dataclass(frozen=True)
class Seen:
    """What one worker showed, and when it was asked (never later than what it showed)."""

    counts: Mapping[str, int]
    at: datetime


@dataclass
class _Owner:
    seen: Mapping[str, Seen] = field(default_factory=dict)
    reading: concurrent.futures.Future[None] | None = None
    read: bool = False
    asked: float = 0.0


class Scraper:
    """Reads the metrics of workers. Safe for threads; `read` is replaced in tests."""

    def __init__(self, read: Read = read_all) -> None:
        self._read = read
        self._owners: dict[str, _Owner] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def counts(self, owner: str, workers: Mapping[str, str]) -> Mapping[str, Seen]:
        """Return the latest counts of an owner's workers, and have them read again.

        `workers` has addresses by incarnation: counts of a worker that was started again are never taken for the new
        one's. At most one read per owner is under way.
        """
        with self._lock:
            self._forget(time.monotonic())
            if not workers:
                self._owners.pop(owner, None)
                return {}
            known = self._owners.setdefault(owner, _Owner())
            known.asked = time.monotonic()
            if known.reading is None or known.reading.done():
                known.reading = asyncio.run_coroutine_threadsafe(self._refresh(known, dict(workers)), self._running())
            first = None if known.read else known.reading
        if first is not None:
            concurrent.futures.wait([first], FIRST_WAIT)
        return {key: known.seen[key] for key in workers if key in known.seen}

    async def _refresh(self, known: _Owner, workers: Mapping[str, str]) -> None:
        at = datetime.now(UTC)
        try:
            found = await self._read(workers)
            known.seen = {key: Seen(counts, at) for key, counts in found.items()}
        finally:
            known.read = True

    def _forget(self, now: float) -> None:
        for owner in [owner for owner, known in self._owners.items() if now - known.asked > KEEP_SECONDS]:
            del self._owners[owner]

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="scrape", daemon=True).start()
        return self._loop
