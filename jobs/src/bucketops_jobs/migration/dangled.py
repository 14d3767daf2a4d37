"""Rows that named a missing object before a migration began: written down by the preflight, known to the audit.

There may be millions, so they lie in parts beside the plan, which has the digests; both sides hold one part at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from bucketops_api.contract import Artifact
from bucketops_jobs.records import Records

LINES = 10_000
"""Rows of a part, and those of its last key that are more."""


class Part(Artifact):
    """Rows by their keys, up to and with the last one."""

    until: str


def write(records: Records, stem: str, found: Iterable[tuple[str, ...]]) -> tuple[Part, ...]:
    """Write (relative key, row id), in key order, to `<stem>-<number>.json`; return the parts."""
    return tuple(
        Part(until=rows[-1][0], **records.write_json(f"{stem}-{number:06d}.json", rows).model_dump())
        for number, rows in enumerate(_cut(found), 1)
    )


def _cut(found: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """No key has rows in two parts."""
    rows: list[tuple[str, ...]] = []
    for _, of_a_key in groupby(found, key=itemgetter(0)):
        rows += of_a_key
        if len(rows) >= LINES:
            yield rows
            rows = []
    if rows:
        yield rows


class Known:
    """Tells of rows, by ascending keys, whether they are among those that were written down."""

    def __init__(self, records: Records, parts: Sequence[Part]) -> None:
        self._records, self._left = records, iter(parts)
        self._part: Part | None = None
        self._rows: set[tuple[str, str]] = set()

    def has(self, key: str, row: str) -> bool:
        """Whether this row named this key; UserError where somebody has changed what was written down."""
        while self._part is None or self._part.until < key:
            self._part = next(self._left, None)
            if self._part is None:
                self._left, self._rows = iter(()), set()
                return False
            self._rows = self._read(self._part) if self._part.until >= key else set()
        return (key, row) in self._rows

    def _read(self, part: Part) -> set[tuple[str, str]]:
        return {(key, row) for key, row in self._records.read_json(part)}
