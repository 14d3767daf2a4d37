"""The rows that name objects: loaded by key range in key order, looked up, rewritten."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from bucketops_api.v1alpha1 import migration as api
from bucketops_jobs.migration import foreign_keys
from bucketops_jobs.migration.database import Session, Stream, queries
from bucketops_jobs.migration.merge import Row
from bucketops_jobs.migration.rewrite import Rewrite, Verdict, rewrite
from bucketops_jobs.migration.tables import Table, describe, limits
from bucketops_jobs.migration.value_ranges import value_ranges
from bucketops_jobs.shards import Range, spread
from bucketops_jobs.spool import Spool

ROWS_OF_A_RANGE = 10_000
"""A range of a listing begins at most this often: to look into one that is empty costs a request."""


class Rows(Session):
    """The rows of one migration."""

    def __init__(
        self,
        database: api.Database,
        root: Path,
        source_prefix: str,
        destination_prefix: str,
        *,
        goes_back: bool = False,
    ) -> None:
        super().__init__(database, root)
        self.tables = [
            describe(self, index, ref, source_prefix, destination_prefix)
            for index, ref in enumerate(database.references)
        ]
        self._goes_back = goes_back
        self.foreign_keys = foreign_keys.read(self)
        self.leaders = foreign_keys.leaders(self.foreign_keys, self.tables)
        """By reference the column that it follows (ON UPDATE CASCADE)."""
        self.readers = [() if goes_back or table.stays else self._readers(table) for table in self.tables]
        """Of each reference, those of the same column that may read its new paths as legacy ones (twice.py)."""

    def _readers(self, table: Table) -> tuple[Table, ...]:
        same = (one for one in self.tables if one.column == table.column and not one.stays)
        return tuple(one for one in same if one.old.may_read(table.new))

    def load(self, within: Range) -> Iterator[tuple[str, Row]]:
        """(relative key, row) of every row that names the legacy or the production place, in key order.

        All are read from one snapshot, in a short transaction; more rows than fit in memory wait in a file.
        """
        parts = [(table, legacy) for table in self.tables for legacy in ((False,) if table.stays else (True, False))]

        def run() -> list[Spool]:
            with self.snapshot() as stream:
                return [
                    _spool(stream, table, within, legacy=legacy, goes_back=self._goes_back) for table, legacy in parts
                ]

        spools = self.retried("read the rows", run)
        streams = [_rows(table, spool, legacy=legacy) for (table, legacy), spool in zip(parts, spools, strict=True)]
        return heapq.merge(*streams, key=itemgetter(0))

    def leftover(self) -> Iterator[tuple[str, Row]]:
        """(relative key, row) of every row that names the legacy place, in key order: no range hides one."""
        tables = [table for table in self.tables if not table.stays]

        def run() -> list[Spool]:
            with self.snapshot(patient=True) as stream:
                return [_begun(stream, table) for table in tables]

        spools = self.retried("look for legacy rows", run)
        streams = [_rows(table, spool, legacy=True) for table, spool in zip(tables, spools, strict=True)]
        return heapq.merge(*streams, key=itemgetter(0))

    def boundaries(self) -> list[str]:
        """Relative keys that cut all rows into even ranges, as far as the database's statistics know; sorted."""
        return sorted({key for table in self.tables for key in self._boundaries(table)})

    def _boundaries(self, table: Table) -> list[str]:
        ref = table.reference
        values = {"schema": ref.schema_, "table": ref.table, "column": ref.column}
        found = self.query(f"read the statistics of {table.name}", queries()["histogram"], values)
        keys = [key for (value,) in found if (key := _relative(table, value)) is not None]
        return spread(keys, self.estimate(table) // ROWS_OF_A_RANGE) if keys else []

    def estimate(self, table: Table) -> int:
        """About how many rows a table has, all of its partitions included, analyzed or not."""
        ((plan,),) = self.query(f"estimate {table.name}", table.statement("estimate"), {})
        return int(plan[0]["Plan"]["Plan Rows"])

    def new_value(self, row: Row, key: str) -> str:
        """What a legacy row of a relative key is rewritten to."""
        return self.tables[row.reference].new.write(key)

    def rewrite(self, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
        """Compare and swap; by row id what became of it, None if it is still held, or why it failed."""
        return rewrite(self, self.tables, self.leaders, wanted)

    def current(self, rows: Iterable[Row]) -> dict[str, str]:
        """By row id, what stands in these rows now; a row that is gone is left out."""
        found: dict[str, str] = {}
        rows = list(rows)
        for table in self.tables:
            pks = [row.pk for row in rows if row.reference == table.index]
            if pks:
                answer = self.query(f"read {table.name}", table.statement("values"), table.key_arrays(pks))
                found |= {f"{table.index}:{table.pk(key)}": value for *key, value in answer}
        return found

    def naming(self, keys: Iterable[str]) -> set[str]:
        """Which of these relative keys a row names at the legacy place now.

        A row that names both places at once is none of these: its object is at the other place.
        """
        wanted = sorted(key for key in keys if "\0" not in key)  # which no row holds
        tables = [table for table in self.tables if wanted and not table.stays]
        named: set[str] = set()
        for table in tables:
            named |= self._spelled(table, wanted) if table.old.format.quoted else self._exact(table, wanted)
        return named

    def _exact(self, table: Table, wanted: Sequence[str]) -> set[str]:
        values = {table.old.write(key): key for key in wanted}
        found = self.query(f"read {table.name}", table.statement("naming"), {"values": list(values)})
        return {values[value] for (value,) in found if value in values}

    def _spelled(self, table: Table, wanted: Sequence[str]) -> set[str]:
        """A key has several spellings, so all legacy rows between the first and the last key are read."""
        within, keys = Range(wanted[0][:-1], wanted[-1]), set(wanted)

        def run() -> set[str]:
            with self.snapshot() as stream:
                found = _read(stream, table, within, legacy=True, goes_back=self._goes_back)
                return {key for key, _, _ in found if key in keys}

        return self.retried(f"read {table.name}", run)


def _relative(table: Table, value: str) -> str | None:
    """The relative key that a value names, in either form; None if it names neither place."""
    old = table.old.read(value)
    return table.new.read(value) if old is None else old


def _spool(stream: Stream, table: Table, within: Range, *, legacy: bool, goes_back: bool) -> Spool:
    spool = Spool()
    for found in _read(stream, table, within, legacy=legacy, goes_back=goes_back):
        spool.add(found)
    return spool


def _read(
    stream: Stream, table: Table, within: Range, *, legacy: bool, goes_back: bool
) -> Iterator[tuple[str, str, str]]:
    """(relative key, primary key, value) of one reference's rows of one form.

    A value that could be read both ways names the place that the migration moves from, on the way there and back.
    """
    form = table.form(legacy=legacy)
    other = None if table.stays or legacy is not goes_back else table.form(legacy=not legacy)
    ranges = value_ranges(form, within)
    for *pk, value in stream(table.statement("load", ranges), limits(ranges)):
        key = form.read(value)
        if key is None or key not in within:
            continue
        if other is None or other.read(value) is None:
            yield key, table.pk(pk), value


def _begun(stream: Stream, table: Table) -> Spool:
    """The same of all rows that the database finds by what they begin with."""
    spool = Spool()
    for *pk, value in stream(table.statement("leftover"), {"start": table.old.start}):
        key = table.old.read(value)
        if key is not None:
            spool.add((key, table.pk(pk), value))
    return spool


def _rows(table: Table, spool: Spool, *, legacy: bool) -> Iterator[tuple[str, Row]]:
    stays = table.stays
    for key, pk, value in spool:
        yield key, Row(table.index, pk, value, legacy, stays=stays)
