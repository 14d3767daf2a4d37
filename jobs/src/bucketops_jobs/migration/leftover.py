"""The independent look at the end: legacy rows found by the database alone, without shards, ranges or the journal.

Whatever was counted before, nothing is Complete while a row still names a legacy object that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.merge import Row
from bucketops_jobs.migration.rows import Rows

LEFTOVER = "audit/leftover"
COUNTED, SHOWN = 20, 3
AT_ONCE = 1000
"""Objects that are asked for together."""


def count(context: Context) -> None:
    """Count rows that name legacy objects, up to 20; a rollback leaves the rows that are not its own alone."""
    if context.rows is None or context.goes_back:
        return
    for number, (key, row) in enumerate(islice(_left(context, context.rows), COUNTED)):
        context.tally.add(LEFTOVER)
        table = context.rows.tables[row.reference]
        if number < SHOWN:
            context.tally.sample(
                key, "leftover", f"row {row.pk} of {table.name} still names the legacy object", first=True
            )


def _left(context: Context, rows: Rows) -> Iterator[tuple[str, Row]]:
    """Rows in scope whose legacy object is there; a row without one is missingSource, and counted as that."""
    found = ((key, row) for key, row in rows.leftover() if context.in_scope(key))
    while chunk := list(islice(found, AT_ONCE)):
        there = context.engine.map(lambda pair: _listed(context, pair[0]), chunk)
        suspects = [pair for pair, listed in zip(chunk, there, strict=True) if listed is not False]
        now = rows.current(row for _, row in suspects)
        yield from ((key, row) for key, row in suspects if now.get(row.id) == row.value)


def _listed(context: Context, key: str) -> bool:
    """Whether a listing shows the legacy object: a server that stores keys under other names answers HEAD for both."""
    wanted = context.source_key(key)
    return any(entry.key == wanted for entry in context.source.page(wanted, limit=1).objects)
