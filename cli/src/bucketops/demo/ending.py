"""What ends a demo before its time: Ctrl-C, SIGTERM and a closed terminal, all alike and at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class End:
    """Whether somebody has ended the demo.

    KeyboardInterrupt is raised wherever the main thread is, which may be in a place that swallows it, such as a
    destructor; therefore it is also remembered.
    """

    def __init__(self) -> None:
        self.wanted = False

    def ask(self, *_: object) -> NoReturn:
        """Take in a signal."""
        self.wanted = True
        raise KeyboardInterrupt

    def require_going(self) -> None:
        """KeyboardInterrupt if the demo has been ended."""
        if self.wanted:
            raise KeyboardInterrupt


@contextmanager
def ended_by_signals() -> Iterator[End]:
    """Hand signals to an End meanwhile; afterwards they do what they did before."""
    end = End()
    before = {number: signal.signal(number, end.ask) for number in SIGNALS}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def then_undisturbed() -> Iterator[None]:
    """Ignore signals from the end of the `with` on: servers are stopped and folders removed then."""
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
