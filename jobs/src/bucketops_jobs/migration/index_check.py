"""Whether an index serves the ranges of values that every chunk asks for: a large table is refused without one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bucketops_api.privileges.sql import typed
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.database import queries
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.tables import Table, limits
from bucketops_jobs.migration.value_ranges import value_ranges
from bucketops_jobs.shards import Range

_TEXTS = ("text", "character varying")
"""Types whose index on the column itself serves comparisons as text."""
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
    without = sorted(unserved(plan[0]["Plan"], leading(rows, table)))
    if without:
        column = typed(table.reference.column)
        plain = table.column_type.startswith(_TEXTS)
        columns = f'({column} COLLATE "C")' if plain else f'(({column}::text) COLLATE "C")'
        commands = [f"CREATE INDEX CONCURRENTLY ON {part} {columns}" for part in without[:_NAMED]]
        if without != [table.typed]:
            commands.append(f"CREATE INDEX ON {table.typed} {columns}")
        raise UserError(
            Reason.INDEX_MISSING,
            f"{table.name} has about {estimate} rows and no index for ranges of paths in {len(without)} of its parts; "
            f"run: {'; '.join(commands)}",
        )


def leading(rows: Rows, table: Table) -> set[str]:
    """Return the indexes that have the paths first: one that has them behind another column is read as a whole."""
    values = {"table": table.regclass, "column": table.reference.column}
    return {name for (name,) in rows.query(f"look at the indexes of {table.name}", queries()["leading"], values)}


def unserved(plan: Mapping[str, Any], indexes: Collection[str]) -> Iterator[str]:
    """Return the tables that a plan reads as a whole: by a scan, or without a search in one of these indexes."""
    if "Relation Name" in plan:
        if not _searches(plan, indexes):
            yield typed(str(plan["Schema"]), str(plan["Relation Name"]))
        return
    for part in plan.get("Plans", ()):
        yield from unserved(part, indexes)


def _searches(plan: Mapping[str, Any], indexes: Collection[str]) -> bool:
    if "Index Cond" in plan and plan["Index Name"] in indexes:
        return True
    return any(_searches(part, indexes) for part in plan.get("Plans", ()))
