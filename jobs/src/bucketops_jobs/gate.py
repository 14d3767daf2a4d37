"""The slots of a worker's requests: first come, first served, for threads that wait and for flows that do not."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from bucketops_jobs.control import Control

Wake = Callable[[], None]


class Gate:
    """As many requests at once as the control says; safe for threads."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.active = 0
        self._control = Control(most, time.monotonic())
        self._waiting: deque[Wake] = deque()
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._control.limit)

    def enter(self) -> None:
        """Wait for a slot."""
        turn = threading.Event()
        if not self.ask(turn.set):
            turn.wait()

    def try_enter(self) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        with self._lock:
            free = self.active < self.limit and not self._waiting
            if free:
                self.active += 1
            else:
                self._control.pressed = True
            return free

    def ask(self, wake: Wake) -> bool:
        """Take a slot if one is free; else queue up: `wake` is called, from any thread, once a slot has been taken.

        Only for who does nothing but wait until then: a slot taken for somebody who waits for another one is lost.
        """
        if self.try_enter():
            return True
        with self._lock:
            self._waiting.append(wake)
            self._admit()
        return False

    def withdraw(self, wake: Wake) -> bool:
        """Leave the queue; False if a slot has been taken already."""
        with self._lock:
            queued = wake in self._waiting
            if queued:
                self._waiting.remove(wake)
            return queued

    def leave(self) -> None:
        """Give a slot back."""
        with self._lock:
            self.active -= 1
            self._admit()

    def answered(self, kind: Hashable, started: float, now: float) -> None:
        """A request has been answered, see Control."""
        with self._lock:
            self._control.answered(kind, started, now)
            self._admit()

    def slowed(self, started: float, now: float) -> None:
        """A request was refused by SlowDown or not answered in time, see Control."""
        with self._lock:
            self._control.slowed(started, now)

    def _admit(self) -> None:
        while self._waiting and self.active < self.limit:
            self.active += 1
            self._waiting.popleft()()
