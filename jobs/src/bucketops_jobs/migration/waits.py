"""What a worker waits for, and since when: shown while it waits, so that nobody takes it for idle or slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bucketops_api import counts

SHOWN_AFTER = 1.0
"""Seconds; whatever is over sooner is no wait for people."""


class Waits:
    """The waits of one worker, which several threads may begin and end. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[str, list[float]] = {}

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Say that this thread waits for something, until it ends."""
        began = time.time()
        with self._lock:
            self._begun.setdefault(what, []).append(began)
        try:
            yield
        finally:
            with self._lock:
                self._begun[what].remove(began)

    def now(self) -> Mapping[str, int]:
        """Return by `counts.waits` what is waited for at this moment, one for each thing: workers add up."""
        late = time.time() - SHOWN_AFTER
        with self._lock:
            oldest = {what: min(begun) for what, begun in self._begun.items() if begun}
        return {counts.waits(what, int(began)): 1 for what, began in oldest.items() if began <= late}
