"""What a server sees over time: how many requests it holds, takes and refuses. No client is asked."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.servers import Place, stats


@dataclass(frozen=True)
class Seen:
    """One look. `at`: seconds since the watch began; the counts are totals."""

    at: float
    in_flight: int
    accepted: int
    refused: int


@dataclass(frozen=True)
class Interval:
    """What went on between two moments. Rates are per second, `in_flight` is the mean of the looks."""

    at: float
    in_flight: float
    accepted: float
    refused: float


@contextmanager
def watching(place: Place, seconds: float = 0.05) -> Iterator[list[Seen]]:
    """Look every `seconds`; the list grows while the block runs. Only for our gofakes3."""
    looks: list[Seen] = []
    done, begin = threading.Event(), time.monotonic()

    def watch() -> None:
        while not done.wait(seconds):
            now = stats(place)
            looks.append(Seen(time.monotonic() - begin, now["inFlight"], now["accepted"], now["refused"]))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield looks
    finally:
        done.set()
        watcher.join()


def intervals(looks: Sequence[Seen], seconds: float) -> list[Interval]:
    """The looks in groups of `seconds`."""
    groups = [list(group) for _, group in itertools.groupby(looks, lambda look: int(look.at / seconds))]
    return [_interval(before[-1], group) for before, group in itertools.pairwise(groups)]


def _interval(before: Seen, group: Sequence[Seen]) -> Interval:
    last = group[-1]
    elapsed = last.at - before.at
    return Interval(
        group[0].at,
        sum(look.in_flight for look in group) / len(group),
        (last.accepted - before.accepted) / elapsed,
        (last.refused - before.refused) / elapsed,
    )


def steady_rate(looks: Sequence[Seen], amount: int) -> float:
    """Requests per second between a quarter and three quarters of `amount`: without start, ramp and tail."""
    first = looks[0].accepted
    quarter = next(look for look in looks if look.accepted - first >= amount / 4)
    most = next(look for look in looks if look.accepted - first >= amount * 3 / 4)
    return (most.accepted - quarter.accepted) / max(most.at - quarter.at, 1e-9)
