"""Counts of the world: legacy objects and rows, production objects, rows that name a missing object."""

from __future__ import annotations

from collections.abc import Iterator

from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.merge import Item, Row

LEGACY_OBJECTS = "census/legacyObjects"
LEGACY_ROWS = "census/legacyRows"
DANGLING_ROWS = "census/danglingRows"
PRODUCTION_OBJECTS = "census/productionObjects"


def count(context: Context, item: Item) -> None:
    """Count what an item says about the world."""
    tally, in_scope = context.tally, context.in_scope(item.key)
    tally.add(PRODUCTION_OBJECTS, int(item.destination is not None))
    tally.add(LEGACY_OBJECTS, int(in_scope and item.source is not None))
    tally.add(LEGACY_ROWS, len(item.legacy) if in_scope else 0)
    tally.add(DANGLING_ROWS, sum(1 for _ in dangling(context, item)))


def dangling(context: Context, item: Item) -> Iterator[Row]:
    """Rows that name a missing object: a legacy row without its legacy object, a modern one without its production one.

    Legacy rows that the filter leaves out are none of our business.
    """
    for row in item.rows:
        missing = item.source is None if row.legacy else item.destination is None
        if missing and (not row.legacy or context.in_scope(item.key)):
            yield row
