"""A range of keys of a place, relative to its prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.forward import Forward, before
from bucketops_jobs.s3.store import Object, Store
from bucketops_jobs.shards import Range

__all__ = ["before", "listed", "listing", "seen"]


def listing(
    store: Store, prefix: str, within: Range, *, streams: int = 1, cuts: Iterable[str] = ()
) -> Iterator[tuple[str, Object]]:
    """(relative key, object) of a range of keys, by up to so many streams of pages, which may begin at `cuts`."""
    after = prefix + within.after if within.after else ""
    until = prefix + within.until if within.until is not None else None
    if streams > 1:
        found = ranges.in_order(
            store, prefix, after=after, until=until, most=streams, bounds=[prefix + cut for cut in cuts]
        )
    else:
        found = store.list_objects(prefix, after=after, until=until)
    for entry in found:
        yield entry.key.removeprefix(prefix), entry


def listed(store: Store, prefix: str, key: str) -> Object | None:
    """Return the object of a relative key as a listing below the prefix shows it, or None."""
    return Forward(store, prefix).find(key)


def seen(entry: Object | None) -> tuple[str, int] | None:
    """Return what is expected of an object that has not changed."""
    return (entry.etag, entry.size) if entry is not None else None
