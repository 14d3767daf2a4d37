"""The independent look at the end: legacy rows found by the database alone, without shards, ranges or the journal.

Whatever was counted before, nothing is Complete while a row still names a legacy object that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.merge import Row
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.s3.forward import Forward

LEFTOVER = "audit/leftover"
COUNTED, SHOWN = 20, 3
AT_ONCE = 1000
"""Rows that are read again together."""


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
    """Yield the rows in scope whose legacy object is there, read again after it was listed."""
    suspects = _with_object(context, rows)
    while chunk := list(islice(suspects, AT_ONCE)):
        now = rows.current(row for _, row in chunk)
        yield from ((key, row) for key, row in chunk if now.get(row.id) == row.value)


def _with_object(context: Context, rows: Rows) -> Iterator[tuple[str, Row]]:
    """Yield the rows in scope whose legacy object a listing shows; one without is missingSource, and counted as that.

    Millions of rows may name none: both streams are in key order, so that pages are asked for and not rows.
    """
    objects = Forward(context.source, context.spec.source.prefix)
    for key, row in rows.leftover():
        context.engine.require_going()
        if context.in_scope(key) and objects.find(key) is not None:
            yield key, row
