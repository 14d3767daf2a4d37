"""Deletions of one bucket: many keys by one request where the server can, else many requests at once."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bucketops_jobs.errors import (
    ItemError,
    NotFoundError,
    NotSupportedError,
    PreconditionFailedError,
    StoppedError,
    TransientError,
    WorkerError,
)
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import failures, wire
from bucketops_jobs.s3.documents import UnreadableError
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.store import TOO_LATE, Object
from bucketops_jobs.s3.wire import Calls, Name, Request, Response

log = logging.getLogger(__name__)

DELETE_BATCH = 1000
"""Keys of one DeleteObjects: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""
DELETE_AGAIN = 3
"""Times that keys which a DeleteObjects left for the time being are asked for again."""
Remaining = dict[Name, WorkerError]
"""What was not deleted, with why."""


@dataclass(frozen=True)
class _Deletion:
    """One request that deletes."""

    names: tuple[Name, ...]
    request: Request

    def __str__(self) -> str:
        return f"delete {self.names[0][0]!r}" if len(self.names) == 1 else f"delete {len(self.names)} objects"


class Deletions:
    """Of one bucket; `bulk` says whether its server can delete many by one request, as far as it has been asked to."""

    def __init__(self, bucket: str, calls: Calls, http: Wire, pace: Pace) -> None:
        self._bucket, self._calls, self._wire, self._pace = bucket, calls, http, pace
        self.bulk = True

    def conditional(self, objects: Iterable[Object], until: float) -> Remaining:
        """Each only while its ETag holds; what fails for the time being remains, and stops no other one."""
        single = (_Deletion(((one.key, ""),), self._calls.delete(one.key, one.etag)) for one in objects)
        return self._deleted(single, until, own=(ItemError, TransientError, StoppedError))

    def plain(self, names: Iterable[Name], until: float = math.inf) -> Remaining:
        """Whatever is there by then; keys that the server fails on for the time being are tried again."""
        remaining = self._deleted(self._batches(iter(names)), until)
        for _ in range(DELETE_AGAIN):
            again = [name for name, error in remaining.items() if isinstance(error, TransientError)]
            if not again:
                break
            remaining = {name: error for name, error in remaining.items() if name not in again}
            remaining |= self._deleted(self._batches(iter(again)), until)
        return remaining

    def _deleted(
        self, deletions: Iterable[_Deletion], until: float, *, own: tuple[type[WorkerError], ...] = (ItemError,)
    ) -> Remaining:
        """`own`: errors that are those of one request alone; any other is raised."""
        remaining: Remaining = {}

        def start(one: _Deletion, done: Callable[[Remaining | WorkerError], None]) -> Callable[[], None]:
            return self._start(one, until, done)

        for deletion, answer in self._pace.flow(deletions, start, cost=lambda _: 0, operation="delete"):
            if isinstance(answer, dict):
                remaining |= answer
            elif isinstance(answer, NotSupportedError) and deletion.request.operation == "DeleteObjects":
                self.bulk = False
                remaining |= self._deleted(self._batches(iter(deletion.names)), until)
            elif isinstance(answer, _UnreadableError):
                log.warning("asked for one by one", extra={"why": str(answer)})
                remaining |= self._deleted(self._singles(deletion.names), until)
            elif isinstance(answer, own):
                remaining |= dict.fromkeys(deletion.names, answer)
            else:
                raise answer
        return remaining

    def _start(
        self, deletion: _Deletion, until: float, done: Callable[[Remaining | WorkerError], None]
    ) -> Callable[[], None]:
        if time.monotonic() > until:
            done(dict.fromkeys(deletion.names, PreconditionFailedError(TOO_LATE)))
            return lambda: None

        def answered(answer: Remaining | WorkerError) -> None:
            done({} if isinstance(answer, NotFoundError) else answer)

        def read(answer: Response) -> Remaining:
            return _remaining(deletion, answer)

        return self._wire.send(deletion.request, f"{deletion} ({self._bucket})", answered, read)

    def _batches(self, names: Iterator[Name]) -> Iterator[_Deletion]:
        """Batches; one by one what XML cannot name, and everything where the server knows no batches."""
        while batch := list(itertools.islice(names, DELETE_BATCH)):
            together = tuple([name for name in batch if wire.fits_xml(name[0])]) if self.bulk else ()
            if together:
                yield _Deletion(together, self._calls.delete_many(together))
            if len(together) < len(batch):
                yield from self._singles(itertools.filterfalse(frozenset(together).__contains__, batch))

    def _singles(self, names: Iterable[Name]) -> Iterator[_Deletion]:
        for name in names:
            yield _Deletion((name,), self._calls.delete(name[0], version=name[1]))


class _UnreadableError(ItemError):
    """What a DeleteObjects left cannot be read of its answer; what was deleted may be deleted again."""


def _remaining(deletion: _Deletion, answer: Response) -> Remaining:
    """What a DeleteObjects left; where its answer names no version, all of that key."""
    if deletion.request.operation != "DeleteObjects" or b"<Error>" not in answer.body:
        return {}
    try:
        refused = list(wire.refused_keys(answer.body))
    except UnreadableError as error:
        raise _UnreadableError(f"{deletion}: the answer cannot be read: {error}") from error
    remaining: Remaining = {}
    for key, version, code, message in refused:
        told = failures.from_answer(0, code, message, f"delete {key!r}")
        named = {name for name in deletion.names if name == (key, version)}
        remaining |= dict.fromkeys(named or {name for name in deletion.names if name[0] == key}, told)
    return remaining
