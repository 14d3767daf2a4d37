"""A queue of many senders and one receiver whose waits end.

`queue.SimpleQueue.get(timeout=…)` of CPython 3.11 and 3.12 can wait for ever: where the lock was free and the queue
empty, the rest of the timeout is computed again, and a negative one means no limit. Found by a test that hung with a
timeout of 0.4 microseconds; `tests/unit/jobs/test_mailbox.py` has the few lines that show it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """First in, first out. Any thread may put, one at a time may get."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._arrived = threading.Lock()
        """Held until something arrives; it may be free although all has been taken."""
        self._arrived.acquire()

    def put(self, item: T) -> None:
        """Add an item, and wake the receiver."""
        self._items.append(item)
        if self._arrived.locked():
            with suppress(RuntimeError):  # another sender was faster
                self._arrived.release()

    def get(self, timeout: float | None = None) -> T:
        """Take the oldest item; Empty if none comes within `timeout` seconds (None: wait for one)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._items:
            left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._arrived.acquire(timeout=left) and not self._items:
                raise Empty
        return self._items.popleft()

    def qsize(self) -> int:
        """Return how many items can be taken now."""
        return len(self._items)
