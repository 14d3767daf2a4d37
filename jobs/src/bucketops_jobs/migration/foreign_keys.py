"""Columns that reference a column of paths: those that follow a rewrite, lose their value by it, or hinder it.

What ON UPDATE does: https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bucketops_api.privileges.sql import typed
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.database import Session, queries
from bucketops_jobs.migration.tables import Table

Column = tuple[str, str, str]
"""Schema, table and column."""
_FOLLOWS = "c"
_LOSES = {"n": "SET NULL", "d": "SET DEFAULT"}


@dataclass(frozen=True)
class ForeignKey:
    """One column that references another; a partition's counts as that of the whole table."""

    name: str
    child: Column
    parent: Column
    action: str
    """`pg_constraint.confupdtype`: c cascades, n and d set null and the default, a and r refuse."""

    @property
    def remedy(self) -> str:
        """What lets the child follow."""
        table, name = typed(*self.child[:2]), typed(self.name)
        return f"make constraint {name} of {table} ON UPDATE CASCADE"


def read(session: Session) -> list[ForeignKey]:
    """Return all foreign keys of the database."""
    found = session.query("look at the foreign keys", queries()["foreign_keys"])
    return [ForeignKey(name, (*child,), (*parent,), action) for name, child, parent, action in found]


def leaders(keys: Sequence[ForeignKey], tables: Sequence[Table]) -> Mapping[int, Column]:
    """Return by reference the column of another one that it follows (ON UPDATE CASCADE), tables between or not."""
    rewritten = {table.column for table in tables if not table.stays}
    found: dict[int, Column] = {}
    for table in tables:
        above = _reached(keys, table.column) & rewritten
        if above and not table.stays:
            found[table.index] = min(above, key=lambda column: (len(_reached(keys, column)), column))
    return found


def in_order(tables: Sequence[Table], leaders: Mapping[int, Column]) -> list[Table]:
    """Return references with those that follow behind those that they follow."""
    by_column = {table.column: table.index for table in tables}

    def depth(index: int, seen: Collection[int] = ()) -> int:
        leader = by_column[leaders[index]] if index in leaders and index not in seen else None
        return 0 if leader is None else 1 + depth(leader, {*seen, index})

    return sorted(tables, key=lambda table: depth(table.index))


def require(keys: Sequence[ForeignKey], tables: Sequence[Table], leaders: Mapping[int, Column]) -> None:
    """UserError where a rewrite would take a value away, change a row's key, or write what its leader does not."""
    changed = _changed(keys, tables)
    for key in keys:
        if key.parent in changed and key.action in _LOSES:
            raise UserError(
                Reason.INVALID_SPEC,
                f"{typed(*key.child)} references {typed(*key.parent)} ON UPDATE {_LOSES[key.action]}, so each rewrite "
                f"would take its value away: {key.remedy}",
            )
    for table in tables:
        for name in table.reference.keys:
            column = (*table.column[:2], name)
            if column in changed:
                raise UserError(
                    Reason.INVALID_SPEC,
                    f"{table.name}: {typed(name)} of the key follows a rewritten path (ON UPDATE CASCADE), so that a "
                    "rewrite would make another row of it: name a unique key without it",
                )
        if table.index in leaders and not _is_written_alike(table, tables, leaders[table.index]):
            raise UserError(
                Reason.INVALID_SPEC,
                f"{table.name} follows {typed(*leaders[table.index])} (ON UPDATE CASCADE): write the same format and "
                "newFormat for both",
            )


def warnings(keys: Sequence[ForeignKey], tables: Sequence[Table]) -> Iterator[str]:
    """Yield what would make rows fail: columns that reference ours and do not follow, and ours that follow nothing."""
    changed = _changed(keys, tables)
    ours = {table.column for table in tables if not table.stays}
    for key in keys:
        if key.parent in changed and key.action not in {_FOLLOWS, *_LOSES}:
            yield (
                f"rows of {typed(*key.parent)} that {typed(*key.child)} references would fail, since it does not "
                f"follow: {key.remedy}"
            )
        elif key.child in ours and key.parent not in changed:
            yield (
                f"rows of {typed(*key.child)} would fail where {typed(*key.parent)}, which it references, does not "
                f"hold the new path yet: add a reference to {typed(*key.parent)}"
            )


def _changed(keys: Sequence[ForeignKey], tables: Sequence[Table]) -> set[Column]:
    """Columns that a rewrite changes: ours, and all that follow them."""
    ours = {table.column for table in tables if not table.stays}
    follow = {key.child for key in keys if key.action == _FOLLOWS and _reached(keys, key.child) & ours}
    return ours | follow


def _reached(keys: Sequence[ForeignKey], column: Column) -> set[Column]:
    """The columns that one follows, directly or through others; never itself."""
    found: set[Column] = set()
    left = [column]
    while left:
        here = left.pop()
        above = {key.parent for key in keys if key.child == here and key.action == _FOLLOWS} - found
        found |= above
        left += above
    return found - {column}


def _is_written_alike(table: Table, tables: Sequence[Table], leader: Column) -> bool:
    return any((one.old, one.new) == (table.old, table.new) for one in tables if one.column == leader)
