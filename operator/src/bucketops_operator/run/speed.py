"""How fast counts move, over the last seconds. Pure: the caller says what time it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

WINDOW = 10.0
"""Seconds: shorter ones jump with every chunk, longer ones hide a change."""
SOON = 3.0
"""Seconds: for what is told only while it lasts."""
SHORTEST = 0.5
"""Seconds: before that, a rate would be a guess."""


class Speed:
    """Rates of counts by name, over a window that slides."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque()
        self._run = ""

    def look(self, run: str, seconds: float, values: Mapping[str, float]) -> None:
        """Take in how far a run is; with another run all begins anew."""
        if run != self._run:
            self._looks.clear()
            self._run = run
        self._looks.append((seconds, values))
        while len(self._looks) > 2 and seconds - self._looks[1][0] >= WINDOW:  # noqa: PLR2004 - two make a rate
            self._looks.popleft()

    def of(self, name: str, window: float = WINDOW) -> float:
        """Return what came in a second; 0 where nobody can tell yet, and never less: a worker may begin anew."""
        if not self._looks:
            return 0.0
        last, now = self._looks[-1]
        first, before = next(look for look in self._looks if last - look[0] <= window)
        if last - first < SHORTEST:
            return 0.0
        return max(0.0, (now.get(name, 0) - before.get(name, 0)) / (last - first))
