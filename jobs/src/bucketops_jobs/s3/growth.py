"""How many streams a listing gets: twice as many as long as that pays. Pure; the caller tells the time."""

from __future__ import annotations

PAYS = 1.3
"""Twice the streams must bring this many times the keys per second; otherwise the server is the limit (MinIO)."""
WINDOW = 6
"""Pages by which a number of streams is judged, at least."""
PATIENCE = 2
"""So many times in turn a number of streams must fail to pay: new ones first have to find where keys are."""


class Growth:
    """The number of streams: doubled while the rate of keys follows, and one step back when it does not."""

    def __init__(self, most: int) -> None:
        self.streams = 1
        self.settled = most <= 1
        self._most = most
        self._best = 0.0
        self._failures = 0
        self._begin(skip=1)

    def stay(self) -> None:
        """One stream, whatever comes."""
        self.streams, self.settled = 1, True

    def arrived(self, now: float, keys: int) -> None:
        """A page of so many keys came at `now` (seconds)."""
        if self.settled or not keys:
            return
        if self._skip:
            self._skip -= 1
            self._since = now
            return
        self._keys += keys
        self._pages += 1
        if self._pages >= max(WINDOW, 2 * self.streams) and now > self._since:
            self._judge(self._keys / (now - self._since))

    def _judge(self, rate: float) -> None:
        if rate < PAYS * self._best:
            self._failures += 1
            self.settled = self._failures == PATIENCE
            self.streams //= 1 + self.settled
            self._begin(skip=1)
            return
        self._best, self._failures = rate, 0
        self.settled = self.streams == self._most
        self.streams = min(self._most, 2 * self.streams)
        self._begin(skip=self.streams)

    def _begin(self, skip: int) -> None:
        """Forget the pages so far, and those that were asked for under another number of streams."""
        self._skip, self._keys, self._pages, self._since = skip, 0, 0, 0.0
