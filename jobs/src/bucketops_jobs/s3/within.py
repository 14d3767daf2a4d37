"""A range of keys of a place, relative to its prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.store import Object, Store
from bucketops_jobs.shards import Range


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
