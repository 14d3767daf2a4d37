"""Rows rewritten by compare and swap; what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bucketops_jobs.errors import DatabaseError, DatabaseUnreachableError
from bucketops_jobs.migration.database import Ask, Session, queries
from bucketops_jobs.migration.foreign_keys import Column, in_order
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

    def __init__(self, words: Mapping[str, str], *, sure: bool = True) -> None:
        super().__init__()
        self.words = words
        """By primary key, what the row, or another one by its doing, would hold."""
        self.sure = sure
        """Whether nobody else can have done it in the same moment."""


@dataclass(frozen=True)
class _Target:
    """The reference whose rows are rewritten, among all."""

    table: Table
    tables: Sequence[Table]


def rewrite(
    session: Session, tables: Sequence[Table], leaders: Mapping[int, Column], wanted: Sequence[Rewrite]
) -> dict[str, Verdict]:
    """Compare and swap; by row id what became of it, None if it is still held, or why it failed.

    `leaders`: by reference the column that it follows (ON UPDATE CASCADE), whose rows come first.
    """
    outcomes: dict[str, Verdict] = {}
    for table in in_order(tables, leaders):
        rows = sorted((w for w in wanted if w.row.reference == table.index), key=lambda w: w.row.value)
        if rows and table.index in leaders:
            led = {
                w.row.value: (w, outcomes[w.row.id])
                for w in wanted
                if tables[w.row.reference].column == leaders[table.index] and w.row.id in outcomes
            }
            outcomes |= _followed(session, table, tables, rows, led)
            rows = [w for w in rows if w.row.id not in outcomes]
        if rows:
            outcomes |= _swap(session, _Target(table, tables), rows)
    return outcomes


def _followed(
    session: Session,
    table: Table,
    tables: Sequence[Table],
    rows: Sequence[Rewrite],
    led: Mapping[str, tuple[Rewrite, Verdict]],
) -> dict[str, Verdict]:
    """What became of rows that follow others, by the values that these had; without those that can be rewritten alone.

    Such a row changes with its leader, and never without it: the database does it, not the application.
    """
    told: dict[str, Verdict] = {}
    for w in rows:
        leader, verdict = led.get(w.row.value, (None, RowOutcome.REWRITTEN))
        if leader is not None and not isinstance(verdict, RowOutcome):
            name = f"row {leader.row.pk} of {tables[leader.row.reference].name}"
            told[w.row.id] = verdict and f"row {w.row.pk} follows {name}, which failed: {verdict}"
    now = _judge(session, table, [w for w in rows if w.row.id not in told and w.row.value in led])
    return told | {row: verdict for row, verdict in now.items() if verdict is RowOutcome.REWRITTEN}


def _swap(session: Session, target: _Target, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
    """A row that offends (a trigger, a constraint) is found by bisection and fails alone."""
    try:
        told = _update(session, target, "rewrite", wanted)
        told |= _update_held(session, target, [w for w in wanted if w.row.pk not in told])
    except DatabaseUnreachableError:
        raise  # no row is to blame
    except DatabaseError as error:
        if len(wanted) == 1:
            return {wanted[0].row.id: None if error.transient else str(error)}
        middle = len(wanted) // 2
        return _swap(session, target, wanted[:middle]) | _swap(session, target, wanted[middle:])
    left = [w for w in wanted if w.row.pk not in told]
    return {w.row.id: told[w.row.pk] for w in wanted if w.row.pk in told} | _judge(session, target.table, left)


def _update_held(session: Session, target: _Target, held: Sequence[Rewrite]) -> dict[str, Verdict]:
    """Wait for rows that were skipped, for each alone, until one cannot be had in time: the next sweep gets the rest.

    Who holds rows while it waits for others may deadlock with the application, and PostgreSQL aborts either of them:
    https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
    """
    told: dict[str, Verdict] = {}
    for number, one in enumerate(held):
        try:
            told |= _update(session, target, "rewrite_waiting", [one])
        except DatabaseError as error:
            if not error.locked:
                raise
            return told | _update(session, target, "rewrite", held[number + 1 :])
    return told


def _update(session: Session, target: _Target, query: str, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
    """By primary key, what became of the rows that could be had: rewritten, or why the database does not store it.

    Rows that the database stores otherwise than they were written are left as they were, and the others are rewritten.
    """
    told: dict[str, Verdict] = {}
    doubted: set[str] = set()
    left = list(wanted)
    while left:
        try:
            done = session.transaction(f"rewrite {target.table.name}", partial(_attempt, target, query, left))
        except _NotAsWrittenError as error:
            failed = {pk: words for pk, words in error.words.items() if error.sure or pk in doubted}
            doubted |= error.words.keys()  # what comes by their doing comes again when they are tried again
            cause = _cause(session, target.table) if failed else ""
            told |= {
                pk: f"row {pk} {words} after the UPDATE, which was undone: {cause}" for pk, words in failed.items()
            }
            left = [w for w in left if w.row.pk not in told]
        else:
            return told | dict.fromkeys(done, RowOutcome.REWRITTEN)
    return told


def _attempt(target: _Target, query: str, wanted: Sequence[Rewrite], ask: Ask) -> Sequence[str]:
    """Rewrite in one transaction, and look what the database made of it before anybody else sees it.

    All triggers have had their say by then, the deferred ones too.
    """
    table = target.table
    watched = target.tables if ask(queries()["triggers"], {"table": table.regclass}) else ()
    legacy = {key for key, *_ in _legacy(ask, table, watched, wanted)}
    values = table.key_arrays(w.row.pk for w in wanted) | {
        "old": [w.row.value for w in wanted],
        "new": [w.new_value for w in wanted],
    }
    ours = [table.pk(key) for key in ask(table.statement(query), values)]
    if not ours:
        return ours
    held = set(ours)
    ask("SET CONSTRAINTS ALL IMMEDIATE")
    _require_stored(ask, table, [w for w in wanted if w.row.pk in held])
    found = [one for one in _legacy(ask, table, watched, wanted) if one[0] not in legacy]
    if made := {pk: words for _, words, pks in found for pk in pks if pk in held}:
        raise _NotAsWrittenError(made, sure=False)
    return ours


def _require_stored(ask: Ask, table: Table, ours: Sequence[Rewrite]) -> None:
    """_NotAsWrittenError where a row does not hold what was written."""
    found = ask(table.statement("values"), table.key_arrays(w.row.pk for w in ours))
    stored = {table.pk(key): value for *key, value in found}
    wrong = {w.row.pk: _words(w, stored.get(w.row.pk)) for w in ours if stored.get(w.row.pk) != w.new_value}
    if wrong:
        raise _NotAsWrittenError(wrong)


def _legacy(
    ask: Ask, table: Table, watched: Iterable[Table], wanted: Sequence[Rewrite]
) -> Iterator[tuple[str, str, list[str]]]:
    """Rows that name what these rows name at the legacy place: which, in words, and by whose doing if they are new.

    A trigger that makes one of them (a row per version, a copy in another table) would have us sweep for ever.
    """
    for other in watched:
        values: dict[str, list[str]] = {}
        for w in wanted:
            key = table.old.read(w.row.value)
            if key is not None and not other.stays:
                value = w.row.value if other.old == table.old else other.old.write(key)
                values.setdefault(value, []).append(w.row.pk)
        for *key_of, value in ask(other.statement("holding"), {"values": list(values)}) if values else ():
            pk = other.pk(key_of)
            words = f"would make row {pk} of {other.name} hold the old path {value[:SHOWN]!r}"
            yield f"{other.index}:{pk}", words, values[value]


def _cause(session: Session, table: Table) -> str:
    """Who may have had a hand in what is stored, and what to do about it."""
    found = session.query(f"look at {table.name}", queries()["triggers"], {"table": table.regclass})
    ref = table.reference
    if not found:
        return f"the type of {ref.column} does it: change it"
    names = ", ".join(name for (name,) in found)
    return f"let its triggers ({names}) leave {ref.column} alone when this role writes it, or disable them"


def _words(one: Rewrite, stored: str | None) -> str:
    if stored is None:
        return "would be gone"
    if stored == one.row.value:
        return "would keep its old path"
    return f"would hold {stored[:SHOWN]!r} instead of {one.new_value[:SHOWN]!r}"


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
