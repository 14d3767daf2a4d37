"""Something that goes on beside other work: threads from the beginning of a `with` to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self


class Background:
    """Runs each function in a thread of its own; a function that repeats asks `going` whether to go on."""

    def __init__(self, *functions: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=function, daemon=True) for function in functions]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def going(self, pause: float = 0) -> bool:
        """Whether the other work still goes on, after a pause of so many seconds; its end ends the pause."""
        return not self._stop.wait(pause)
