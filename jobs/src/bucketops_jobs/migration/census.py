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
    legacy, production = item.source, item.destination
    if context.goes_back:
        legacy, production = production, legacy
    tally.add(PRODUCTION_OBJECTS, int(production is not None))
    tally.add(LEGACY_OBJECTS, int(in_scope and legacy is not None))
    rows = [row for row in item.rows if not row.stays]
    tally.add(LEGACY_ROWS, sum(row.legacy is not context.goes_back for row in rows) if in_scope else 0)
    tally.add(DANGLING_ROWS, sum(1 for _ in dangling(context, item)))


def dangling(context: Context, item: Item) -> Iterator[Row]:
    """Rows that name a missing object: a legacy row without its legacy object, a modern one without its production one.

    Rows of the source that the migration is not about are none of our business. A row that names both places has lost
    its object if both had it, as the journal says, and neither has it now.
    """
    for row in item.rows:
        if row.stays:
            missing = item.source is None and item.destination is None and item.entry is not None
        else:
            missing = item.source is None if row.legacy else item.destination is None
        if missing and (not row.legacy or context.concerns(item)):
            yield row
