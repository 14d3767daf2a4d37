"""The report of a plan or an audit: a line for each key whose object or rows did not end as moved or already there.

Layout: reports/<run>/<shard>-<part>.ndjson.gz, in key order. The journal has the rest.
"""

from __future__ import annotations

from typing import Any

from bucketops_jobs.migration.merge import Item, Outcome, RowOutcome
from bucketops_jobs.records import Records

FOLDER = "reports/"
PHASES = frozenset({"plan", "audit"})
"""That walk over everything and say how each key ends."""
_LINES = 10_000
_WELL = {Outcome.MOVED, Outcome.ALREADY, None}
_ROWS_WELL = {RowOutcome.REWRITTEN, RowOutcome.HEALED}


class Report:
    """One shard's part; an attempt that is made again writes it anew."""

    def __init__(self, records: Records, run: str, shard: int) -> None:
        self._records, self._stem = records, f"{FOLDER}{run}/{shard:05d}-"
        self._lines: list[dict[str, Any]] = []
        self._parts = 0
        records.store.remove(list(records.keys(self._stem)))

    def add(self, item: Item, outcome: str | None, rows: dict[str, RowOutcome], message: str) -> None:
        """Take in how a key has ended, if that is worth a line; rows by `<number of the reference>:<primary key>`."""
        ill = {row: end for row, end in sorted(rows.items()) if end not in _ROWS_WELL}
        if outcome in _WELL and not ill:
            return
        self._lines.append({"key": item.key, "outcome": outcome, "rows": ill, "message": message})
        if len(self._lines) >= _LINES:
            self.close()

    def close(self) -> None:
        """Write what has not been written."""
        if self._lines:
            self._parts += 1
            self._records.write_lines(f"{self._stem}{self._parts:06d}.ndjson.gz", self._lines)
            self._lines = []
