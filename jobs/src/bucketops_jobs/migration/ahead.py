"""What of a chunk is copied already, shown while the rest of the chunk is at work."""

from __future__ import annotations

from typing import Self

from bucketops_api import counts
from bucketops_jobs.tally import Tally


class Ahead:
    """The copies of one chunk, as they come; taken back when the chunk ends, before its outcomes are counted.

    Without them a chunk of a thousand objects looks idle until all of it is done. Safe for threads.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._made: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for name, amount in self._made:
            self._tally.raise_level(name, -amount)

    def object(self) -> None:
        """Count one more object whose copy is there."""
        self._count(counts.AHEAD, 1)

    def bytes(self, amount: int) -> None:
        """Count bytes that are there; of a large object they come part by part."""
        self._count(counts.AHEAD_BYTES, amount)

    def _count(self, name: str, amount: int) -> None:
        self._tally.raise_level(name, amount)
        self._made.append((name, amount))
