"""Batches of deletions in parallel, with retries of the single keys that the store failed on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bucketops_api import counts
from bucketops_jobs.errors import StoppedError, TransientError
from bucketops_jobs.retention.context import Context
from bucketops_jobs.retention.folders import Outcome
from bucketops_jobs.retention.places import DELETE_BATCH, Entry, Remaining

ATTEMPTS = 5
FIRST_PAUSE = 0.2  # seconds
IN_FLIGHT_PER_REQUEST = 2
"""Batches that wait their turn, per request at once: a listing runs ahead of the deletions, but not without end."""


MOST_NAMED = 10_000
"""Keys of refused entries that are remembered; beyond that every key counts as one."""


@dataclass
class Refused:
    """What remained of a deletion: how many entries, and of which keys."""

    count: int = 0
    keys: set[str] = field(default_factory=set)

    def add(self, entries: Sequence[Entry]) -> None:
        """Take in what a batch left."""
        self.count += len(entries)
        if self.count <= MOST_NAMED:
            self.keys.update(entry.key for entry in entries)

    def may_hold(self, key: str) -> bool:
        """Whether an entry of this key may have remained."""
        return self.count > MOST_NAMED or key in self.keys


class Batches:
    """Deletes entries; everything that uses it shares its threads and the limit of what is in memory."""

    def __init__(self, context: Context, *, frees_space: bool) -> None:
        concurrency = context.spec.worker.concurrency
        self._context, self._frees_space = context, frees_space
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="delete")
        self._free = threading.BoundedSemaphore(concurrency * IN_FLIGHT_PER_REQUEST)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def delete(self, entries: Iterable[Entry]) -> Refused:
        """Delete all of them and answer what remains. An error of the store or of `entries` comes at the end."""
        refused = Refused()
        futures: list[Future[None]] = []
        try:
            for batch in _batched(entries):
                self._context.engine.require_going()
                futures.append(self._submit(batch, refused))
        finally:
            errors = [error for future in futures if (error := future.exception())]
        for error in errors:
            raise error
        return refused

    def _submit(self, batch: Sequence[Entry], refused: Refused) -> Future[None]:
        self._free.acquire()
        future = self._pool.submit(self._batch, batch, refused)
        future.add_done_callback(lambda _: self._free.release())
        return future

    def _batch(self, batch: Sequence[Entry], whole: Refused) -> None:
        """Only what the store failed on is tried again; what it refuses is not."""
        refused: list[tuple[Entry, Exception]] = []
        for attempt in itertools.count(1):
            remaining = self._context.place.delete(batch)
            self._count(batch, remaining)
            again = [entry for entry, error in remaining if isinstance(error, TransientError)]
            refused += [(entry, error) for entry, error in remaining if not isinstance(error, TransientError)]
            if not again or attempt == ATTEMPTS:
                refused += [(entry, error) for entry, error in remaining if isinstance(error, TransientError)]
                break
            batch = again
            if self._context.engine.stop.wait(FIRST_PAUSE * 2**attempt):
                raise StoppedError("told to stop while waiting to retry")
        for entry, error in refused:
            self._context.tally.sample(entry.key, Outcome.FAILED, str(error), first=True)
        self._context.tally.add("objectsFailed", len(refused))
        with self._lock:
            whole.add([entry for entry, _ in refused])

    def _count(self, batch: Sequence[Entry], remaining: Remaining) -> None:
        left = {id(entry) for entry, _ in remaining}
        gone = [entry for entry in batch if id(entry) not in left]
        self._context.tally.add(counts.DELETED, len(gone))
        self._context.tally.add(counts.DONE, len(gone))
        if self._frees_space:
            self._context.tally.add("bytesFreed", sum(entry.size for entry in gone))


def _batched(entries: Iterable[Entry]) -> Iterator[Sequence[Entry]]:
    iterator = iter(entries)
    while batch := list(itertools.islice(iterator, DELETE_BATCH)):
        yield batch
