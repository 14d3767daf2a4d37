"""The merge join: source listing, destination listing, rows and journal, in key order, one item per key."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.history import History, Recall
from bucketops_jobs.migration.merge import Item, Row
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range

_SOURCE, _DESTINATION, _HISTORY, _ROW = range(4)
Tagged = tuple[str, int, Any]


def walk(
    context: Context,
    within: Range,
    histories: Iterable[tuple[str, History]],
    *,
    streams: int = 1,
    cuts: Sequence[str] = (),
) -> Iterator[Item]:
    """Every key that any of the four streams knows, in key order, whatever the filter says.

    `streams`: how many pages of one bucket may be asked for at once. One is enough for a shard, whose copies are slower
    than its listing; a walk over everything takes more if the server rewards it. `cuts`: relative keys where they may
    begin; nobody has to look for those.
    """
    source, destination = context.spec.source.prefix, context.spec.destination.prefix
    joined = (
        _tagged(_SOURCE, listing(context.source, source, within, streams=streams, cuts=cuts)),
        _tagged(_DESTINATION, listing(context.destination, destination, within, streams=streams, cuts=cuts)),
        _tagged(_HISTORY, histories),
        _tagged(_ROW, context.rows.load(within) if context.rows is not None else ()),
    )
    merged = heapq.merge(*joined, key=itemgetter(0, 1))
    for key, parts in itertools.groupby(merged, key=itemgetter(0)):
        context.engine.require_going()
        yield join(key, parts, context.recall)


def scoped(context: Context, items: Iterable[Item]) -> Iterator[Item]:
    """Items that the filter lets through and that are more than a native modern object."""
    return filter(context.concerns, items)


def join(key: str, parts: Iterable[Tagged], recall: Recall) -> Item:
    """One item of what the streams say about its key."""
    found: dict[int, Any] = {}
    rows: list[Row] = []
    for _, stream, part in parts:
        if stream == _ROW:
            rows.append(part)
        else:
            found[stream] = part
    return recall(Item(key, found.get(_SOURCE), found.get(_DESTINATION), None, tuple(rows)), found.get(_HISTORY, ()))


def _tagged(stream: int, pairs: Iterable[tuple[str, Any]]) -> Iterator[Tagged]:
    for key, part in pairs:
        yield key, stream, part
