"""When to look for answers: those that are handled together cost the threads fewer switches than one by one."""

from __future__ import annotations

import selectors
import time

SHARE = 0.05
"""Of its connections, on which a look should find something: so answers wait for a twentieth of a round trip at most.

By Little's law; https://en.wikipedia.org/wiki/Little%27s_law.
"""
LONGEST = 0.005
SHORTEST = 0.0002
"""Seconds; a shorter sleep costs what it spares."""


class Together(selectors.DefaultSelector):
    """Sleeps before it looks, until about a share of its connections is ready; where there are few, not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.pause = 0.0
        """Seconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Of selectors."""
        if self.pause >= SHORTEST and (timeout is None or timeout > self.pause):
            time.sleep(self.pause)
        found = super().select(timeout)
        if found:
            self.pause = adapted(self.pause, len(found), len(self.get_map()))
        return found


def adapted(pause: float, found: int, connections: int) -> float:
    """The next pause, in seconds, after one that found so many of the connections ready: at most doubled."""
    wanted = SHARE * connections / found
    return min(LONGEST, max(pause, SHORTEST / 2) * min(2.0, wanted))
