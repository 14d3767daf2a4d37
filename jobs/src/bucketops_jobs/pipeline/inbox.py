"""What was heard and is not done yet: each key once, in the order of arrival, never twice in hand at the same time."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

CAPACITY = 100_000
"""Keys; more than that is left to the sweep."""


class Done(Protocol):
    """Who told of a key, and wants to know what became of it."""

    def __call__(self, *, settled: bool) -> None:
        """It has come to its end, or it has not and somebody must tell of it again."""


@dataclass
class Item:
    """A key that waits or is in hand. Times are in seconds of a monotonic clock, `event` in seconds since 1970."""

    key: str
    arrived: float
    event: float
    done: list[Done] = field(default_factory=list)
    attempt: int = 0


class Inbox:
    """Safe for threads. An event for a key in hand makes it wait once more: its source may have been read before."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[str, Item] = OrderedDict()
        self._later: dict[str, tuple[float, Item]] = {}
        self._in_hand: dict[str, Item] = {}
        self._due = math.inf
        """When the first of those put back is due, or earlier."""
        self._changed = threading.Condition()

    def tell(self, key: str, now: float, event: float, done: Done | None = None) -> bool:
        """Take in an event; False when there is no room, and nothing was taken in."""
        with self._changed:
            known = self._waiting.get(key)
            if known is None:
                if len(self._waiting) + len(self._later) >= self._capacity:
                    return False
                _, known = self._later.pop(key, (0.0, Item(key, now, event)))
                self._waiting[key] = known
            known.done += [done] if done else []
            self._changed.notify()
            return True

    def take(self, now: float, seconds: float = 0.0) -> Item | None:
        """The next key, which is in hand from now on; None when there is none within so many seconds."""
        with self._changed:
            item = self._next(now)
            if item is None and seconds:
                self._changed.wait(seconds)
                item = self._next(now + seconds)
            return item

    def _next(self, now: float) -> Item | None:
        if self._due <= now:
            self._promote(now)
        for key, item in self._waiting.items():
            if key not in self._in_hand:
                del self._waiting[key]
                self._in_hand[key] = item
                return item
        return None

    def _promote(self, now: float) -> None:
        """What was put back and is due waits like any other."""
        for key in [key for key, (due, _) in self._later.items() if due <= now]:
            self._waiting[key] = self._later.pop(key)[1]
        self._due = min((due for due, _ in self._later.values()), default=math.inf)

    def end(self, item: Item, *, settled: bool) -> None:
        """A key is no longer in hand."""
        with self._changed:
            self._in_hand.pop(item.key, None)
            self._changed.notify()
        for done in item.done:
            done(settled=settled)

    def again(self, item: Item, due: float) -> None:
        """A key is no longer in hand, and waits until `due`; if it was told of meanwhile, it is due now."""
        with self._changed:
            self._in_hand.pop(item.key, None)
            item.attempt += 1
            known = self._waiting.get(item.key)
            if known is None:
                self._later[item.key] = (due, item)
                self._due = min(self._due, due)
            else:
                known.done = item.done + known.done
            self._changed.notify()

    def abandon(self) -> int:
        """Give up what waits: whoever told is told so. How many they were."""
        with self._changed:
            left = [*self._waiting.values(), *(item for _, item in self._later.values())]
            self._waiting.clear()
            self._later.clear()
        for item in left:
            for done in item.done:
                done(settled=False)
        return len(left)

    @property
    def roomy(self) -> bool:
        """Whether half of it is empty."""
        return 2 * (len(self._waiting) + len(self._later)) <= self._capacity

    @property
    def pending(self) -> int:
        """Keys that wait or are in hand."""
        return len(self._waiting) + len(self._later) + len(self._in_hand)

    def oldest(self, now: float) -> float:
        """Seconds since the oldest of them was told."""
        with self._changed:
            items = [*self._waiting.values(), *self._in_hand.values(), *(item for _, item in self._later.values())]
        return max((now - item.arrived for item in items), default=0.0)
