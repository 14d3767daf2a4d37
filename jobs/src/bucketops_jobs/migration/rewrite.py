"""Rows rewritten by compare and swap; what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError
from bucketops_jobs.migration.database import Ask, Session, queries
from bucketops_jobs.migration.merge import Row, RowOutcome
from bucketops_jobs.migration.tables import Table

Verdict = RowOutcome | str | None
"""What became of a row; a sentence: it failed; None: another transaction holds it."""
SHOWN = 80
"""Characters of a value in a sentence."""


@dataclass(frozen=True)
class Rewrite:
    """One row to rewrite."""

    row: Row
    new_value: str


class _NotAsWrittenError(Exception):
    """What the database made of some rows is not what was written: their transaction is undone."""

    def __init__(self, stored: Mapping[str, str | None]) -> None:
        super().__init__()
        self.stored = stored
        """By primary key, what stood in the row in the end; None: no row."""


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
        told = _update(session, table, "rewrite", wanted)
        told |= _update_held(session, table, [w for w in wanted if w.row.pk not in told])
    except DatabaseUnreachableError:
        raise  # no row is to blame
    except DatabaseError as error:
        if len(wanted) == 1:
            return {wanted[0].row.id: None if error.transient else str(error)}
        middle = len(wanted) // 2
        return _swap(session, table, wanted[:middle]) | _swap(session, table, wanted[middle:])
    left = [w for w in wanted if w.row.pk not in told]
    return {w.row.id: told[w.row.pk] for w in wanted if w.row.pk in told} | _judge(session, table, left)


def _update_held(session: Session, table: Table, held: Sequence[Rewrite]) -> dict[str, Verdict]:
    """Wait for rows that were skipped, for each alone, until one cannot be had in time: the next sweep gets the rest.

    Who holds rows while it waits for others may deadlock with the application, and PostgreSQL aborts either of them:
    https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
    """
    told: dict[str, Verdict] = {}
    for number, one in enumerate(held):
        try:
            told |= _update(session, table, "rewrite_waiting", [one])
        except DatabaseError as error:
            if not error.locked:
                raise
            return told | _update(session, table, "rewrite", held[number + 1 :])
    return told


def _update(session: Session, table: Table, query: str, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
    """By primary key, what became of the rows that could be had: rewritten, or why the database does not store it.

    Rows that the database stores otherwise than they were written are left as they were, and the others are rewritten.
    """
    told: dict[str, Verdict] = {}
    left = list(wanted)
    while left:
        try:
            done = session.transaction(f"rewrite {table.name}", partial(_attempt, table, query, left))
        except _NotAsWrittenError as error:
            cause = _cause(session, table)
            told |= {w.row.pk: _sentence(w, error.stored[w.row.pk], cause) for w in left if w.row.pk in error.stored}
            left = [w for w in left if w.row.pk not in told]
        else:
            return told | dict.fromkeys(done, RowOutcome.REWRITTEN)
    return told


def _attempt(table: Table, query: str, wanted: Sequence[Rewrite], ask: Ask) -> Sequence[str]:
    """Rewrite in one transaction, and look what the database made of it before anybody else sees it.

    All triggers have had their say by then, the deferred ones too.
    """
    values = table.key_arrays(w.row.pk for w in wanted) | {
        "old": [w.row.value for w in wanted],
        "new": [w.new_value for w in wanted],
    }
    ours = [table.pk(key) for key in ask(table.statement(query), values)]
    if not ours:
        return ours
    ask("SET CONSTRAINTS ALL IMMEDIATE")
    stored = {table.pk(key): value for *key, value in ask(table.statement("values"), table.key_arrays(ours))}
    written = {w.row.pk: w.new_value for w in wanted}
    wrong = {pk: stored.get(pk) for pk in ours if stored.get(pk) != written[pk]}
    if wrong:
        raise _NotAsWrittenError(wrong)
    return ours


def _cause(session: Session, table: Table) -> str:
    """Who may have had a hand in what is stored, and what to do about it."""
    found = session.query(f"look at {table.name}", queries()["triggers"], {"table": table.regclass})
    ref = table.reference
    if not found:
        return f"the type of {ref.column} does it: change it"
    names = ", ".join(name for (name,) in found)
    return f"let its triggers ({names}) leave {ref.column} alone when this role writes it, or disable them"


def _sentence(one: Rewrite, stored: str | None, cause: str) -> str:
    if stored is None:
        what = "would be gone"
    elif stored == one.row.value:
        what = "would keep its old path"
    else:
        what = f"would hold {stored[:SHOWN]!r} instead of {one.new_value[:SHOWN]!r}"
    return f"row {one.row.pk} {what} after the UPDATE, which was undone: {cause}"


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
