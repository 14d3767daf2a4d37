"""Whether an index serves the ranges of values that every chunk asks for: a large table is refused without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bucketops_api.privileges.sql import typed
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.tables import Table, limits
from bucketops_jobs.migration.value_ranges import value_ranges
from bucketops_jobs.shards import Range

_NAMED = 3
"""Partitions in a message."""
SCAN_ROWS = 500_000
"""Above this many rows a scan per shard, and per chunk of deletions, is too dear."""


def require(rows: Rows, table: Table) -> None:
    """UserError where a table is large and a part of it has no index on the paths."""
    estimate = rows.estimate(table)
    if estimate <= SCAN_ROWS:
        return
    ranges = value_ranges(table.old, Range(after="a", until="b"))
    ((plan,),) = rows.query(f"explain {table.name}", table.statement("explain", ranges), limits(ranges))
    without = sorted(unserved(plan[0]["Plan"]))
    if without:
        columns = f'({typed(table.reference.column)} COLLATE "C")'
        commands = [f"CREATE INDEX CONCURRENTLY ON {part} {columns}" for part in without[:_NAMED]]
        if without != [table.typed]:
            commands.append(f"CREATE INDEX ON {table.typed} {columns}")
        raise UserError(
            Reason.INDEX_MISSING,
            f"{table.name} has about {estimate} rows and no index for ranges of paths in {len(without)} of its parts; "
            f"run: {'; '.join(commands)}",
        )


def unserved(plan: Mapping[str, Any]) -> Iterator[str]:
    """Return the tables that a plan reads as a whole: by a scan, or by an index that it does not search."""
    if "Relation Name" in plan:
        if not _searches(plan):
            yield typed(str(plan["Schema"]), str(plan["Relation Name"]))
        return
    for part in plan.get("Plans", ()):
        yield from unserved(part)


def _searches(plan: Mapping[str, Any]) -> bool:
    return "Index Cond" in plan or any(map(_searches, plan.get("Plans", ())))
