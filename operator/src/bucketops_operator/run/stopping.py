"""Ctrl-C and SIGTERM: the first one stops at a safe point, the second one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AT_A_SAFE_POINT = "stopping at a safe point …: workers end what they have in hand (once more: at once)"
AT_ONCE = "stopping at once: workers are ended in the middle of their work"
GO_ON = "nothing is lost; the same command goes on from there"


class Stop:
    """Whether somebody wants the work to stop, and how urgently."""

    def __init__(self) -> None:
        self._signals = 0

    @property
    def wanted(self) -> bool:
        """Whether to stop at a safe point."""
        return self._signals > 0

    @property
    def at_once(self) -> bool:
        """Whether to stop without waiting for a safe point: the work bears it, as it bears a power failure."""
        return self._signals > 1

    def ask(self, *_: int | FrameType | None) -> None:
        """Take in one signal."""
        self._signals += 1


@contextmanager
def on_signals(stop: Stop) -> Iterator[None]:
    """Hand signals to `stop` meanwhile; afterwards they do what they did before."""
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
