"""Servers and workers without either: time is a number, answers come as a queueing model says."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bucketops_jobs.control import Control

Rate = Callable[[float], float]


@dataclass
class Server:
    """Answers after `base` seconds and a wait in one queue, which it works off at `capacity` requests a second.

    A request that would wait longer than `patience` is refused with SlowDown after `base` seconds. `jitter` is the
    standard deviation of the base latency's logarithm.
    """

    base: Rate
    capacity: Rate = lambda _: float("inf")
    patience: float = float("inf")
    jitter: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    free_at: float = 0.0

    def answer(self, now: float) -> tuple[float, bool]:
        """When the request that arrives now is answered, and whether by SlowDown."""
        latency = self.base(now) * (self.chance.lognormvariate(0, self.jitter) if self.jitter else 1.0)
        begin = max(now, self.free_at)
        if begin - now > self.patience:
            return now + latency, True
        self.free_at = begin + 1 / self.capacity(now)
        return self.free_at + latency, False


@dataclass
class Client:
    """A worker that always has more to do."""

    control: Control
    since: float = 0.0
    active: int = 0
    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)

    def rate(self, begin: float, end: float) -> float:
        """Answers a second between two times."""
        return sum(begin <= when < end for when in self.done) / (end - begin)

    def limit(self, begin: float, end: float) -> float:
        """The mean limit between two times."""
        within = [limit for when, limit in self.limits if begin <= when < end]
        return sum(within) / len(within)


def client(most: int, since: float = 0.0) -> Client:
    """A worker that begins at `since`."""
    return Client(Control(most, since), since)


def run(server: Server, clients: list[Client], seconds: float) -> None:
    """Let them work."""
    order = itertools.count()
    events: list[tuple[float, int, Client, float, bool]] = []

    def fill(one: Client, now: float) -> None:
        while one.active < int(one.control.limit):
            when, refused = server.answer(now)
            one.active += 1
            heapq.heappush(events, (when, next(order), one, now, refused))
        one.control.pressed = True

    for one in clients:
        heapq.heappush(events, (one.since, next(order), one, -1.0, False))
    while events and (event := heapq.heappop(events))[0] < seconds:
        now, _, one, started, refused = event
        if started >= 0:
            one.active -= 1
            if refused:
                one.control.slowed(started, now)
                one.refused.append(now)
            else:
                one.control.answered("copy", started, now)
                one.done.append(now)
            one.limits.append((now, one.control.limit))
        fill(one, now)
