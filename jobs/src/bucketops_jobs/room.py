"""Room for bytes in memory: however many requests are in flight, their bodies stay within it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

BYTES = 64 << 20
"""Of the bodies that one worker holds at once."""


class Room:
    """Bytes to be had by many threads; whoever asks waits until there are enough."""

    def __init__(self, size: int = BYTES) -> None:
        self._size = self._left = size
        self._changed = threading.Condition()

    def take(self, size: int) -> int:
        """Take so many bytes, or all there are; the answer is what must be given back, whatever happens."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        return size

    def give(self, size: int) -> None:
        """Give back what was taken, from any thread."""
        with self._changed:
            self._left += size
            self._changed.notify_all()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold so many bytes for a while."""
        held = self.take(size)
        try:
            yield
        finally:
            self.give(held)
