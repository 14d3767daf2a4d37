"""The rows that name objects: loaded by key range, rewritten by compare and swap. Statements stand in queries.sql."""

from __future__ import annotations

import heapq
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from psycopg2 import extensions, sql

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1 import migration as api
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import DatabaseError, UserError
from bucketops_jobs.migration.connection import connect, translated
from bucketops_jobs.migration.journal import Range
from bucketops_jobs.migration.merge import Row, RowOutcome
from bucketops_jobs.migration.paths import Format
from bucketops_jobs.spool import Spool

log = logging.getLogger(__name__)
T = TypeVar("T")

Verdict = RowOutcome | str | None
"""What became of a row; a sentence: it failed; None: another transaction holds it."""

FETCH = 10_000  # rows per round trip
FENCE_LOOK = 0.1  # seconds
FENCE_PATIENCE = 10.0  # seconds
STATEMENT_TIMEOUT = "60s"
ATTEMPTS = 6
HIGHEST = "\U0010ffff"
"""Sorts after every character in the C collation of a UTF8 database."""
LOWEST = "\x01"
"""Sorts before every other character that PostgreSQL can hold: a text and this is the text's successor."""


@cache
def queries() -> dict[str, str]:
    """The statements of queries.sql by name."""
    text = resources.files(__package__).joinpath("queries.sql").read_text()
    parts = re.split(r"^-- (\w+): .*\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@dataclass(frozen=True)
class Table:
    """One reference of the spec, resolved against the catalog."""

    index: int
    reference: api.Reference
    key_type: str
    width: int | None
    row_estimate: int
    old: Format
    new: Format

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.reference.schema_}.{self.reference.table}.{self.reference.column}"

    @property
    def regclass(self) -> str:
        """As to_regclass() reads it."""
        return _regclass(self.reference)

    def statement(self, query: str) -> sql.Composed:
        """One of the queries with this table's identifiers."""
        ref = self.reference
        return sql.SQL(queries()[query]).format(
            table=sql.Identifier(ref.schema_, ref.table),
            key=sql.Identifier(ref.key),
            column=sql.Identifier(ref.column),
            key_type=sql.SQL(self.key_type),
        )


@dataclass(frozen=True)
class Rewrite:
    """One row to rewrite."""

    row: Row
    new_value: str


class Rows:
    """The rows of one migration."""

    def __init__(self, database: api.Database, root: Path, source_prefix: str, destination_prefix: str) -> None:
        self.database = database
        self.prefixes = {True: source_prefix, False: destination_prefix}
        self._root = root
        self._connection: extensions.connection | None = None
        self.tables = [self._describe(index, ref) for index, ref in enumerate(database.references)]

    def _describe(self, index: int, ref: api.Reference) -> Table:
        values = {"table": _regclass(ref), "key": ref.key, "column": ref.column}
        found = self.query(f"look for {values['table']}", queries()["describe"], values)
        if not found:
            raise UserError(
                Reason.TABLE_NOT_FOUND,
                f"table {values['table']} with columns {ref.key} and {ref.column} does not exist, or this role may not "
                "see it: mend spec.database.references",
            )
        key_type, width, _, estimate = found[0]
        old, new = Format.parse(ref.format), Format.parse(ref.written_format)
        return Table(index, ref, key_type, width, max(0, estimate), old, new)

    def query(self, what: str, statement: sql.Composable | str, values: dict[str, Any] | None = None) -> list[Any]:
        """Run one statement in its own transaction; again on a new connection when the server went away."""

        def run() -> list[Any]:
            with self._open().cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

        return self._retried(what, run)

    def _retried(self, what: str, run: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                with translated(what):
                    return run()
            except DatabaseError as error:
                if not error.transient or error.locked or attempt == ATTEMPTS - 1:
                    raise
                log.info("again: %s", error)
                self.close()
                time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _open(self) -> extensions.connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.database, self._root)
            lock_ms = int(parse_duration(self.database.lock_timeout).total_seconds() * 1000)
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{lock_ms}ms",))
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", (STATEMENT_TIMEOUT,))
        return self._connection

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def load(self, within: Range) -> Iterator[tuple[str, Row]]:
        """(relative key, row) of every row that names the legacy or the production place, in key order.

        All are read from one snapshot, in a short transaction; more rows than fit in memory wait in a file.
        """
        parts = [(table, legacy) for table in self.tables for legacy in (True, False)]

        def run() -> list[Spool]:
            with self._snapshot() as connection:
                return [self._spool(connection, table, within, legacy=legacy) for table, legacy in parts]

        spools = self._retried("read the rows", run)
        streams = [_rows(table, spool, legacy=legacy) for (table, legacy), spool in zip(parts, spools, strict=True)]
        return heapq.merge(*streams, key=itemgetter(0))

    @contextmanager
    def _snapshot(self) -> Iterator[extensions.connection]:
        connection = self._open()
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.rollback()
                connection.set_session(isolation_level="default", readonly="default", autocommit=True)

    def _spool(self, connection: extensions.connection, table: Table, within: Range, *, legacy: bool) -> Spool:
        """(relative key, primary key, value) of one reference's rows of one form."""
        form, prefix = (table.old if legacy else table.new), self.prefixes[legacy]
        low, high = value_range(form, prefix, within)
        spool = Spool()
        with connection.cursor(name="bucketops_rows") as cursor:
            cursor.itersize = FETCH
            cursor.execute(table.statement("load"), {"low": low, "high": high})
            for pk, value in cursor:
                key = form.read(value)
                if key is None or not key.startswith(prefix) or key.removeprefix(prefix) not in within:
                    continue
                if legacy or not self.is_legacy(table, value):
                    spool.add((key.removeprefix(prefix), pk, value))
        return spool

    def is_legacy(self, table: Table, value: str) -> bool:
        """Whether a value names the legacy place; one that could be read both ways does."""
        key = table.old.read(value)
        return key is not None and key.startswith(self.prefixes[True])

    def new_value(self, row: Row, key: str) -> str:
        """What a legacy row of a relative key is rewritten to."""
        return self.tables[row.reference].new.write(self.prefixes[False] + key)

    def rewrite(self, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
        """Compare and swap; by row id what became of it, None if it is still held, or why it failed."""
        outcomes: dict[str, Verdict] = {}
        for table in self.tables:
            rows = sorted((w for w in wanted if w.row.reference == table.index), key=lambda w: w.row.value)
            if rows:
                outcomes |= self._swap(table, rows)
        return outcomes

    def _swap(self, table: Table, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
        """A row that offends (a trigger, a constraint) is found by bisection and fails alone."""
        try:
            done = self._update(table, "rewrite", wanted)
            done |= self._update_held(table, [w for w in wanted if w.row.pk not in done])
        except DatabaseError as error:
            if len(wanted) == 1:
                return {wanted[0].row.id: None if error.transient else str(error)}
            middle = len(wanted) // 2
            return self._swap(table, wanted[:middle]) | self._swap(table, wanted[middle:])
        left = [w for w in wanted if w.row.pk not in done]
        return {w.row.id: RowOutcome.REWRITTEN for w in wanted if w.row.pk in done} | self._judge(table, left)

    def _update_held(self, table: Table, held: Sequence[Rewrite]) -> set[str]:
        """Wait once for rows that were skipped; who still cannot have them gets them in the next sweep."""
        try:
            return self._update(table, "rewrite_waiting", held) if held else set()
        except DatabaseError as error:
            if error.locked:
                return set()
            raise

    def _update(self, table: Table, query: str, wanted: Sequence[Rewrite]) -> set[str]:
        values = {
            "keys": [w.row.pk for w in wanted],
            "old": [w.row.value for w in wanted],
            "new": [w.new_value for w in wanted],
        }
        return {pk for (pk,) in self.query(f"rewrite {table.name}", table.statement(query), values)}

    def _judge(self, table: Table, left: Sequence[Rewrite]) -> dict[str, Verdict]:
        """Rows that no swap changed: a commit whose answer was lost, or the application was there first."""
        if not left:
            return {}
        found = self.query(f"read {table.name}", table.statement("values"), {"keys": [w.row.pk for w in left]})
        now = dict(found)
        verdicts: dict[str, Verdict] = {}
        for w in left:
            value = now.get(w.row.pk)
            if value == w.row.value:
                verdicts[w.row.id] = None
            else:
                verdicts[w.row.id] = RowOutcome.REWRITTEN if value == w.new_value else RowOutcome.CHANGED_BY_APP
        return verdicts

    def current(self, rows: Iterable[Row]) -> dict[str, str]:
        """By row id, what stands in these rows now; a row that is gone is left out."""
        found: dict[str, str] = {}
        for table in self.tables:
            keys = [row.pk for row in rows if row.reference == table.index]
            if keys:
                answer = self.query(f"read {table.name}", table.statement("values"), {"keys": keys})
                found |= {f"{table.index}:{pk}": value for pk, value in answer}
        return found

    def naming(self, keys: Iterable[str]) -> set[str]:
        """Which of these relative keys a row names at the legacy place now."""
        wanted = sorted(keys)
        named: set[str] = set()
        for table in self.tables:
            if table.old.quoted:  # one key has several percent-encodings
                named |= {key for key, row in self.load(Range()) if row.legacy} & set(wanted)
                continue
            values = {table.old.write(self.prefixes[True] + key): key for key in wanted}
            found = self.query(f"read {table.name}", table.statement("naming"), {"values": list(values)})
            named |= {values[value] for (value,) in found if value in values}
        return named

    def fence(self, require_going: Callable[[], None]) -> None:
        """Wait until every transaction that is open now has ended: what they write is then to be seen.

        `require_going` raises when the worker is told to stop: without the wait there is no evidence.
        """
        (horizon,) = self.query("read the snapshot", queries()["snapshot"])[0]
        began, told = time.monotonic(), False
        while self.query("read the snapshot", queries()["oldest"])[0][0] < horizon:
            require_going()
            time.sleep(FENCE_LOOK)
            if not told and time.monotonic() - began > FENCE_PATIENCE:
                log.warning("waits for a transaction that is open in the database: it may still write legacy paths")
                told = True

    def lag(self) -> float | None:
        """Seconds that the furthest replica is behind; None where this role may not see it."""
        _, hidden, seconds = self.query("read the replication lag", queries()["lag"])[0]
        return None if hidden else float(seconds)


def _rows(table: Table, spool: Spool, *, legacy: bool) -> Iterator[tuple[str, Row]]:
    for key, pk, value in spool:
        yield key, Row(table.index, pk, value, legacy)


def value_range(form: Format, prefix: str, within: Range) -> tuple[str, str]:
    """[low, high) of the column's values for a range of keys; wider where values do not sort as keys do."""
    if form.quoted:  # one key has several percent-encodings
        return form.before, form.before + HIGHEST
    start = form.before + prefix
    if not form.in_key_order:
        return start, start + HIGHEST
    return start + within.after, start + (HIGHEST if within.until is None else within.until + LOWEST)


def _regclass(ref: api.Reference) -> str:
    quoted = (part.replace('"', '""') for part in (ref.schema_, ref.table))
    return ".".join(f'"{part}"' for part in quoted)
