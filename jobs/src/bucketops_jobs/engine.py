"""Items -> process (bounded) -> settle per chunk. No framework: two functions and a pool of threads."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from bucketops_jobs.errors import ItemError, StoppedError, TransientError
from bucketops_jobs.pace import Pace

Item = TypeVar("Item")
Answer = TypeVar("Answer")
UNDER_WAY = 4
"""Items that `overlapped` has in hand at once."""


class Engine:
    """Runs a function over chunks of items, as many at once as the pace allows, until told to stop."""

    def __init__(self, pace: Pace, concurrency: int) -> None:
        self.pace = pace
        self.stop: threading.Event = pace.stop
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="engine")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def chunks(self, items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
        """Items in lists of `size`.

        Told to stop it raises StoppedError, at the end too: a worker that was interrupted must not pass for one that
        is done.
        """
        iterator = iter(items)
        while chunk := tuple(itertools.islice(iterator, size)):
            self.require_going()
            self.pace.refresh()
            yield chunk
        self.require_going()

    def overlapped(self, process: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Begin items in their order, several at once; an error ends the run, once what is under way has ended.

        In threads of their own: `process` may call `map`, whose pool would be full of who waits for it.
        """
        with ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="overlapped") as pool:
            under_way: deque[Future[object]] = deque()
            for item in items:
                under_way.append(pool.submit(process, item))
                if len(under_way) == UNDER_WAY:
                    under_way.popleft().result()
            for one in under_way:
                one.result()

    def require_going(self) -> None:
        """Raise StoppedError when told to stop."""
        if self.stop.is_set():
            raise StoppedError("told to stop; the next attempt goes on from here")

    def map(
        self, function: Callable[[Item], Answer], items: Sequence[Item]
    ) -> list[Answer | ItemError | TransientError | StoppedError]:
        """The answers in the order of the items. An item's own error is its answer; any other error ends the run."""

        def guarded(item: Item) -> Answer | ItemError | TransientError | StoppedError:
            if self.stop.is_set():
                return StoppedError("told to stop before this item")
            try:
                return function(item)
            except (ItemError, TransientError, StoppedError) as error:
                return error

        return list(self._pool.map(guarded, items))

    def every(self, function: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """The same where a single answer that is missing makes all others worthless: its error ends the run."""
        answers: list[Answer] = []
        for answer in self.map(function, items):
            if isinstance(answer, ItemError | TransientError | StoppedError):
                raise answer
            answers.append(answer)
        return answers
