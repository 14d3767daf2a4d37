"""How many requests a worker keeps in flight: more while answers are flat, a third less when the store asks. Pure.

docs/decisions/0006-requests-in-flight.md has the reasoning. Times are in seconds, and given in.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

START = 16
"""In flight at first."""
CUT = 2 / 3
"""What a SlowDown or a timeout leaves."""
SLOWER = 2.0
"""Answers may take this many times their floor before growth stops …"""
SLACK = 0.025
"""… or this many seconds more: a queue as short as that harms nobody."""
SHRINK = 7 / 8
"""What a round of slow answers leaves at least: one bad round is no proof."""
SHORTEST_ROUND = 0.05
CHECK_AFTER, CHECK_AFTER_AT_MOST = 8, 128
"""Slow rounds until half of the limit is tried; twice as many after each check that found the server saturated."""
SATURATED = 0.9
"""Half of the limit does at least this share of the work: the other half has bought nothing."""


@dataclass(slots=True)
class _Kind:
    """Requests that should take equally long."""

    floor: float = math.inf
    """Mean latency of the best round."""
    last: float = math.inf
    """… and of the last one."""
    seconds: float = 0.0
    answers: int = 0

    @property
    def allowed(self) -> float:
        """What its next answer may take before growth stops."""
        return max(self.floor * SLOWER, self.floor + SLACK)

    def close(self) -> None:
        self.last = self.seconds / self.answers
        self.floor = min(self.floor, self.last)
        self.seconds, self.answers = 0.0, 0


@dataclass(frozen=True, slots=True)
class _Round:
    """The answers of about one round trip; sums of seconds."""

    kinds: Sequence[_Kind]
    pressed: bool
    elapsed: float
    busy: float
    """What they took."""
    ideal: float
    """What they take at their floors."""
    allowed: float
    """What they may take before growth stops."""

    @property
    def work(self) -> float:
        """How much was done in a second: answers, each worth what it takes at its floor."""
        return self.ideal / self.elapsed


@dataclass(slots=True)
class _Check:
    """Half of the limit is being tried."""

    limit: float
    """The whole one."""
    full: _Round
    drained: bool = False
    """The first round still has the answers of the full limit."""


class Control:
    """The limit of requests in flight. Set `pressed` when more are wanted than it allows: else it does not grow."""

    def __init__(self, most: int, now: float) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.pressed = False
        self._ceiling = math.inf
        """Where growth last came to an end; infinite in the slow start."""
        self._kinds: dict[Hashable, _Kind] = {}
        self._since, self._idle, self._limit_then, self._answers = now, 0.0, self.limit, 0
        self._last_cut = -math.inf
        self._slow_rounds, self._check_after = 0, CHECK_AFTER
        self._check: _Check | None = None

    def answered(self, kind: Hashable, started: float, now: float) -> None:
        """A request has been answered; those of one `kind` should take equally long."""
        seen = self._kinds.get(kind)
        if seen is None:
            seen = self._kinds[kind] = _Kind()
        seen.seconds += now - started
        seen.answers += 1
        self._answers += 1
        if self.pressed and self._ceiling == math.inf:  # the slow start doubles the limit in a round trip
            self.limit = min(self.limit + 1, 2 * self._limit_then, self.most)
        if started >= self._since and self._answers >= self._limit_then and now - self._since >= SHORTEST_ROUND:
            self._decide(self._end_round(now))

    def idle(self, seconds: float) -> None:
        """Nothing was in flight for so long."""
        self._idle += seconds

    def slowed(self, started: float, now: float) -> None:
        """The store asked for less, or did not answer in time. A request sent before the last cut says nothing new."""
        if started < self._last_cut:
            return
        before, self._check = self._check.limit if self._check else self.limit, None
        # Cut below the last ceiling, it leaves room for others: https://www.rfc-editor.org/rfc/rfc9438#section-4.7
        self._ceiling = before if before >= self._ceiling else before * (1 + CUT) / 2
        self.limit = max(1.0, before * CUT)
        self._last_cut = now
        self._end_round(now)

    def _end_round(self, now: float) -> _Round:
        kinds = [kind for kind in self._kinds.values() if kind.answers]
        counts, busy = [kind.answers for kind in kinds], sum(kind.seconds for kind in kinds)
        for kind in kinds:
            kind.close()
        ended = _Round(
            kinds=kinds,
            pressed=self.pressed,
            elapsed=now - self._since - self._idle,
            busy=busy,
            ideal=sum(n * kind.floor for n, kind in zip(counts, kinds, strict=True)),
            allowed=sum(
                n * max(kind.floor * SLOWER, kind.floor + SLACK) for n, kind in zip(counts, kinds, strict=True)
            ),
        )
        self._since, self._idle, self._answers, self.pressed = now, 0.0, 0, False
        return ended

    def _decide(self, ended: _Round) -> None:
        if self._check is not None:
            self._go_on(self._check, ended)
        elif ended.pressed and ended.busy <= ended.allowed:
            self._grow()
        elif ended.pressed:
            self._hold(ended)
        self._limit_then = self.limit

    def _grow(self) -> None:
        """Fast when far from the ceiling, by one when near it; beyond it slowly, then ever faster, as CUBIC does."""
        if self._ceiling < math.inf:
            self.limit = min(self.most, self.limit + max(1.0, abs(self._ceiling - self.limit) / 2))

    def _hold(self, ended: _Round) -> None:
        """Back to where answers take as long as they may. Now and then half of it: perhaps it is the path, not us."""
        least = 1.0 if self._ceiling == math.inf else self.limit * SHRINK
        self.limit = max(1.0, least, min(self.limit, ended.allowed / ended.elapsed))
        self._ceiling = self.limit
        self._slow_rounds += 1
        if self._slow_rounds >= self._check_after:
            self._check = _Check(self.limit, ended)
            self.limit = max(1.0, self.limit / 2)

    def _go_on(self, check: _Check, ended: _Round) -> None:
        if not check.drained:
            check.drained = True
            return
        if ended.work < SATURATED * check.full.work:  # more in flight does more: what looked slow is how it is now
            self._check_after = CHECK_AFTER
            for kind in ended.kinds:
                kind.floor = kind.last
        else:
            self._check_after = min(2 * self._check_after, CHECK_AFTER_AT_MOST)
        self._check, self._slow_rounds = None, 0
        self.limit = check.limit
