"""Three listings merged in key order: what stands at each key in the source, the destination and among the refusals."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.s3.store import Object
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range

_SOURCE, _DESTINATION, _NOTE = range(3)


@dataclass(frozen=True)
class Pair:
    """What the listings show of one key."""

    key: str
    source: Object | None
    destination: Object | None
    note: Object | None

    @property
    def etags(self) -> tuple[str, str, str, str]:
        """The key and what stands at it."""
        source, destination, note = (one.etag if one else "" for one in self._all)
        return self.key, source, destination, note

    @property
    def changed(self) -> datetime:
        """When the latest of them was written, by its server."""
        return max(one.modified for one in self._all if one)

    @property
    def _all(self) -> tuple[Object | None, Object | None, Object | None]:
        return self.source, self.destination, self.note


def walk(context: Context, within: Range) -> Iterator[Pair]:
    """Every key that any of the three has, in key order."""
    streams = (
        _tagged(_SOURCE, listing(context.source, context.spec.source.prefix, within)),
        _tagged(_DESTINATION, listing(context.destination, context.spec.destination.prefix, within)),
        _tagged(_NOTE, context.notes.listed(within)),
    )
    merged = heapq.merge(*streams, key=itemgetter(0, 1))
    for key, parts in itertools.groupby(merged, key=itemgetter(0)):
        context.engine.require_going()
        found = {stream: entry for _, stream, entry in parts}
        yield Pair(key, found.get(_SOURCE), found.get(_DESTINATION), found.get(_NOTE))


def _tagged(stream: int, pairs: Iterable[tuple[str, Object]]) -> Iterator[tuple[str, int, Any]]:
    for key, entry in pairs:
        yield key, stream, entry
