"""Sorts more than fits in memory: full runs go to files, reading merges them."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterator
from operator import itemgetter
from typing import IO

Record = tuple[str, ...]
IN_MEMORY = 100_000
"""Records; about 50 MB."""


class Spool:
    """Takes records in any order and gives them back, once, sorted by their first field."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._limit = in_memory
        self._records: list[Record] = []
        self._files: list[IO[str]] = []

    def add(self, record: Record) -> None:
        """Take one record."""
        self._records.append(record)
        if len(self._records) >= self._limit:
            self._files.append(_written(sorted(self._records, key=itemgetter(0))))
            self._records = []

    def __iter__(self) -> Iterator[Record]:
        runs = [*map(_read, self._files), iter(sorted(self._records, key=itemgetter(0)))]
        return heapq.merge(*runs, key=itemgetter(0))


def _written(records: list[Record]) -> IO[str]:
    file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed, and gone, once it is read
    file.writelines(json.dumps(record) + "\n" for record in records)
    return file


def _read(file: IO[str]) -> Iterator[Record]:
    with file:
        file.seek(0)
        for line in file:
            yield tuple(json.loads(line))
