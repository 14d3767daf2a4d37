"""Rows rewritten by compare and swap; what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError
from bucketops_jobs.migration.database import Session
from bucketops_jobs.migration.merge import Row, RowOutcome
from bucketops_jobs.migration.tables import Table

Verdict = RowOutcome | str | None
"""What became of a row; a sentence: it failed; None: another transaction holds it."""


@dataclass(frozen=True)
class Rewrite:
    """One row to rewrite."""

    row: Row
    new_value: str


def rewrite(session: Session, tables: Iterable[Table], wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
    """Compare and swap; by row id what became of it, None if it is still held, or why it failed."""
    outcomes: dict[str, Verdict] = {}
    for table in tables:
        rows = sorted((w for w in wanted if w.row.reference == table.index), key=lambda w: w.row.value)
        if rows:
            outcomes |= _swap(session, table, rows)
    return outcomes


def _swap(session: Session, table: Table, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
    """A row that offends (a trigger, a constraint) is found by bisection and fails alone."""
    try:
        done = _update(session, table, "rewrite", wanted)
        done |= _update_held(session, table, [w for w in wanted if w.row.pk not in done])
    except DatabaseUnreachableError:
        raise  # no row is to blame
    except DatabaseError as error:
        if len(wanted) == 1:
            return {wanted[0].row.id: None if error.transient else str(error)}
        middle = len(wanted) // 2
        return _swap(session, table, wanted[:middle]) | _swap(session, table, wanted[middle:])
    left = [w for w in wanted if w.row.pk not in done]
    return {w.row.id: RowOutcome.REWRITTEN for w in wanted if w.row.pk in done} | _judge(session, table, left)


def _update_held(session: Session, table: Table, held: Sequence[Rewrite]) -> set[str]:
    """Wait for rows that were skipped, for each alone, until one cannot be had in time: the next sweep gets the rest.

    Who holds rows while it waits for others may deadlock with the application, and PostgreSQL aborts either of them:
    https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
    """
    done: set[str] = set()
    for number, one in enumerate(held):
        try:
            done |= _update(session, table, "rewrite_waiting", [one])
        except DatabaseError as error:
            if not error.locked:
                raise
            return done | _update(session, table, "rewrite", held[number + 1 :])
    return done


def _update(session: Session, table: Table, query: str, wanted: Sequence[Rewrite]) -> set[str]:
    values = table.key_arrays(w.row.pk for w in wanted) | {
        "old": [w.row.value for w in wanted],
        "new": [w.new_value for w in wanted],
    }
    return {table.pk(key) for key in session.query(f"rewrite {table.name}", table.statement(query), values)}


def _judge(session: Session, table: Table, left: Sequence[Rewrite]) -> dict[str, Verdict]:
    """Rows that no swap changed: a commit whose answer was lost, or the application was there first."""
    if not left:
        return {}
    found = session.query(f"read {table.name}", table.statement("values"), table.key_arrays(w.row.pk for w in left))
    now = {table.pk(key): value for *key, value in found}
    verdicts: dict[str, Verdict] = {}
    for w in left:
        value = now.get(w.row.pk)
        if value == w.row.value:
            verdicts[w.row.id] = None
        else:
            verdicts[w.row.id] = RowOutcome.REWRITTEN if value == w.new_value else RowOutcome.CHANGED_BY_APP
    return verdicts
