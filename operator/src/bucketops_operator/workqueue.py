"""One worker per resource: never two reconciles of one resource at once, and none forgotten.

A resource that is marked while it is worked on is worked on once more. The worker is told which resource, never what
happened to it: it reads the resource afresh, so a lost or a doubled event changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from bucketops_operator.errors import Consequence, consequence

_LOG = logging.getLogger(__name__)


class Key(NamedTuple):
    """Which resource."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Outcome:
    """What a reconcile found: when to look again at the latest (None: on a change), or that the resource is gone."""

    requeue: timedelta | None = None
    gone: bool = False


@dataclass(frozen=True)
class _Tried:
    outcome: Outcome
    failed: bool = False


Reconcile = Callable[[Key], Outcome]
Tell = Callable[[Key, Exception, Consequence], None]


class WorkQueue:
    """Calls `reconcile` in threads, at most `workers` at once; `tell` hears of each error, in the same thread.

    `gap` is the least number of seconds between two reconciles of one resource. After an error that is tried again, a
    change of the resource is looked at after `patience` seconds at the latest, however long the backoff has become.
    """

    def __init__(
        self, reconcile: Reconcile, tell: Tell, *, workers: int = 8, gap: float = 1.0, patience: float = 10.0
    ) -> None:
        self._reconcile, self._tell = reconcile, tell
        self._gap, self._patience = gap, patience
        self._dirty: dict[Key, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="reconcile")

    def mark(self, key: Key) -> None:
        """Have a resource looked at soon. To be called in the event loop."""
        if key in self._dirty:
            self._dirty[key].set()
            return
        self._dirty[key] = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._work(key, self._dirty[key]), name="/".join(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def known(self) -> Iterable[Key]:
        """List the resources that have a worker."""
        return tuple(self._dirty)

    def depth(self) -> int:
        """Count the resources that wait to be looked at."""
        return sum(dirty.is_set() for dirty in list(self._dirty.values()))

    async def stop(self) -> None:
        """End all workers; a reconcile under way ends in its own time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, key: Key, dirty: asyncio.Event) -> None:
        """Work until the resource is gone. Nothing is awaited between the last look at `dirty` and the end."""
        loop, attempt = asyncio.get_running_loop(), 0
        try:
            while True:
                dirty.clear()
                tried = await loop.run_in_executor(self._pool, self._try, key, attempt + 1)
                attempt = attempt + 1 if tried.failed else 0
                if tried.outcome.gone and not dirty.is_set():
                    return
                await self._rest(dirty, tried)
        finally:
            del self._dirty[key]

    async def _rest(self, dirty: asyncio.Event, tried: _Tried) -> None:
        delay = tried.outcome.requeue.total_seconds() if tried.outcome.requeue is not None else None
        least = self._gap
        if tried.failed and delay is not None:
            least = max(least, min(delay, self._patience))
        await asyncio.sleep(least)
        try:
            async with asyncio.timeout(None if delay is None else max(0.0, delay - least)):
                await dirty.wait()
        except TimeoutError:
            return

    def _try(self, key: Key, attempt: int) -> _Tried:
        try:
            return _Tried(self._reconcile(key))
        except Exception as error:  # noqa: BLE001 - the loop must outlive any error of one resource
            decided = consequence(error, attempt)
            self._report(key, error, decided)
            return _Tried(Outcome(decided.delay), failed=True)

    def _report(self, key: Key, error: Exception, decided: Consequence) -> None:
        fields = {"kind": key.kind, "namespace": key.namespace, "resource": key.name, "error": str(error)}
        trace = error if decided.level >= logging.ERROR else None
        _LOG.log(decided.level, "reconcile ended early", extra=fields, exc_info=trace)
        try:
            self._tell(key, error, decided)
        except Exception:  # noqa: BLE001 - the same
            _LOG.exception("error not told", extra=fields)
