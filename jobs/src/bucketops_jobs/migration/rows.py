"""The rows that name objects: loaded by key range in key order, looked up, rewritten."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from bucketops_api.v1alpha1 import migration as api
from bucketops_jobs.migration.database import Session, Stream, queries
from bucketops_jobs.migration.merge import Row
from bucketops_jobs.migration.rewrite import Rewrite, Verdict, rewrite
from bucketops_jobs.migration.tables import Table, describe, value_range
from bucketops_jobs.shards import Range, spread
from bucketops_jobs.spool import Spool

ROWS_OF_A_RANGE = 10_000
"""A range of a listing begins at most this often: to look into one that is empty costs a request."""


class Rows(Session):
    """The rows of one migration."""

    def __init__(self, database: api.Database, root: Path, source_prefix: str, destination_prefix: str) -> None:
        super().__init__(database, root)
        self.prefixes = {True: source_prefix, False: destination_prefix}
        self.tables = [describe(self, index, ref) for index, ref in enumerate(database.references)]

    def load(self, within: Range) -> Iterator[tuple[str, Row]]:
        """(relative key, row) of every row that names the legacy or the production place, in key order.

        All are read from one snapshot, in a short transaction; more rows than fit in memory wait in a file.
        """
        parts = [(table, legacy) for table in self.tables for legacy in (True, False)]

        def run() -> list[Spool]:
            with self.snapshot() as stream:
                return [self._spool(stream, table, within, legacy=legacy) for table, legacy in parts]

        spools = self.retried("read the rows", run)
        streams = [_rows(table, spool, legacy=legacy) for (table, legacy), spool in zip(parts, spools, strict=True)]
        return heapq.merge(*streams, key=itemgetter(0))

    def boundaries(self) -> list[str]:
        """Relative keys that cut all rows into even ranges, as far as the database's statistics know; sorted."""
        return sorted({key for table in self.tables for key in self._boundaries(table)})

    def _boundaries(self, table: Table) -> list[str]:
        ref = table.reference
        values = {"schema": ref.schema_, "table": ref.table, "column": ref.column}
        found = self.query(f"read the statistics of {table.name}", queries()["histogram"], values)
        keys = [key for (value,) in found if (key := self._relative(table, value))]
        return spread(keys, table.row_estimate // ROWS_OF_A_RANGE)

    def _relative(self, table: Table, value: str) -> str | None:
        """The relative key that a value names, in either form; None if it names neither place."""
        for form, prefix in ((table.old, self.prefixes[True]), (table.new, self.prefixes[False])):
            key = form.read(value)
            if key is not None and key.startswith(prefix):
                return key.removeprefix(prefix)
        return None

    def _spool(self, stream: Stream, table: Table, within: Range, *, legacy: bool) -> Spool:
        """(relative key, primary key, value) of one reference's rows of one form."""
        form, prefix = (table.old if legacy else table.new), self.prefixes[legacy]
        low, high = value_range(form, prefix, within)
        spool = Spool()
        for pk, value in stream(table.statement("load"), {"low": low, "high": high}):
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
        return rewrite(self, self.tables, wanted)

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


def _rows(table: Table, spool: Spool, *, legacy: bool) -> Iterator[tuple[str, Row]]:
    for key, pk, value in spool:
        yield key, Row(table.index, pk, value, legacy)
