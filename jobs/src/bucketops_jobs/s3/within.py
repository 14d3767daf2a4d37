"""A range of keys of a place, relative to its prefix."""

from __future__ import annotations

from collections.abc import Iterator

from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.store import Object, Store
from bucketops_jobs.shards import Range


def listing(store: Store, prefix: str, within: Range, *, streams: int = 1) -> Iterator[tuple[str, Object]]:
    """(relative key, object) of a range of keys, by up to so many streams of pages at once."""
    after = prefix + within.after if within.after else ""
    until = prefix + within.until if within.until is not None else None
    if streams > 1:
        found = ranges.in_order(store, prefix, after=after, until=until, most=streams)
    else:
        found = store.list_objects(prefix, after=after, until=until)
    for entry in found:
        yield entry.key.removeprefix(prefix), entry
