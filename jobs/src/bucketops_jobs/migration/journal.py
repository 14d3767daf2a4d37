"""What we did, per chunk of keys: an intent before the first write, an outcome after the commit.

A segment is one worker's walk through one shard; a shard's segments are numbered, and the newest entry of a key
counts. An epoch is one plan's cut into shards: entries of older epochs are read for the keys of the new shards.
Layout: journal/<epoch>/<shard>/<segment>-<nonce>/<chunk>.{intent,done}
A rollback writes to the journal of the migration that it rolls back, in epochs of its own (`000002-back`): what is
true of a key now follows from all of them in their order, see history.py.

Whoever may write to the bucket may write such files too, so a file counts only with a seal of this migration, over all
its bytes and its name (records.py, seal.py). What has none is left out, counted, and left where it is.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.history import History, Version
from bucketops_jobs.migration.merge import Entry, Outcome, RowOutcome
from bucketops_jobs.records import DAMAGED, Records
from bucketops_jobs.shards import Range

log = logging.getLogger(__name__)

ROOT = "journal/"
_NAME = re.compile(r"(\d{6,9}(?:-back)?)/(\d{5,9})/(\d{6,9}-[0-9a-f]{1,32})/(\d{6,9})\.(intent|done)", re.ASCII)
BACK = "-back"
"""Ends the name of a rollback's epoch."""
_FAR = 900_000_000
"""Nobody has so many epochs or segments: such a name counts only with a seal, or the numbers would be used up."""


class Writer:
    """Writes one segment."""

    def __init__(self, records: Records, epoch: str, shard: int, number: int) -> None:
        self._records = records
        self._folder = f"{ROOT}{epoch}/{shard:05d}/{number:06d}-{secrets.token_hex(4)}/"
        self._chunks = 0

    def chunk(self) -> Chunk:
        """The next one; its keys come after those of the last. What is said of several may cross."""
        self._chunks += 1
        return Chunk(self._records, f"{self._folder}{self._chunks:06d}")


@dataclass(frozen=True)
class Chunk:
    """A part of a segment."""

    _records: Records
    _name: str

    def intend(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Say what is about to be copied."""
        self._write("intent", entries)

    def done(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Say what came of it, or what has become known of keys whose copies were committed before."""
        self._write("done", entries)

    def _write(self, suffix: str, entries: Iterable[tuple[str, Entry]]) -> None:
        self._records.write_sealed(f"{self._name}.{suffix}", (_encode(k, e) for k, e in entries))


@dataclass(frozen=True)
class _Part:
    epoch: str
    shard: int
    segment: str
    chunk: str
    suffix: str
    key: str

    @property
    def age(self) -> int:
        """The number of its epoch."""
        return int(self.epoch.removesuffix(BACK))

    @property
    def number(self) -> int:
        """Of its segment."""
        return int(self.segment.split("-")[0])


class Reader:
    """Reads what was written of each key of a range, in key order, a chunk per segment in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records
        root = records.folder + ROOT
        found = (_part(key, key.removeprefix(root)) for key in records.keys(ROOT))
        self._parts = [part for part in found if part is not None]
        self.strangers = 0
        """How many files that were read are not ours."""
        self.stranger = ""
        """The first of them."""

    @property
    def empty(self) -> bool:
        """Whether nothing was ever done; looks into the newest files until one is ours."""
        return all(self._lines(part.key) is None for part in reversed(self._parts))

    def next_segment(self, epoch: str, shard: int) -> int:
        """The number after the last segment of a shard."""
        own = (part for part in self._parts if (part.epoch, part.shard) == (epoch, shard))
        return self._next((part.number, part) for part in own)

    def next_epoch(self, *, back: bool) -> str:
        """The name of the epoch after all that have written anything, also those of an earlier resource's runs."""
        return f"{self._next((part.age, part) for part in self._parts):06d}{BACK if back else ''}"

    def _next(self, taken: Iterable[tuple[int, _Part]]) -> int:
        """The number after those that are taken. What is not ours takes one, too: its key may be lost for now only."""
        return max((n for n, part in taken if n < _FAR or self._lines(part.key) is not None), default=0) + 1

    def words(self) -> str:
        """Say that there are files which are not ours, of those that were read; '' where there are none."""
        if not self.strangers:
            return ""
        return (
            f"{self.strangers} files of the journal bear no seal of this migration, so what they say does not count "
            f"(the first: {self.stranger}): see who may write below .bucketops/; if it was sealed with a key that the "
            f"Secret does not hold any more, add that one to the Secret as {names.FORMER_SECRET_KEYS} and set a new "
            "trigger"
        )

    def histories(self, epoch: str, shard: int, within: Range) -> Iterator[tuple[str, History]]:
        """(key, its entries from the oldest to the newest) in key order, of this shard and of all other epochs."""
        parts = [part for part in self._parts if part.shard == shard or part.epoch != epoch]
        segments = [self._segment(order, segment, within) for order, segment in enumerate(_by_age(parts))]
        merged = heapq.merge(*segments, key=itemgetter(0, 1))
        for key, versions in itertools.groupby(merged, key=itemgetter(0)):
            yield key, [version for _, _, version in versions]

    def _segment(self, order: int, parts: Sequence[_Part], within: Range) -> Iterator[tuple[str, int, Version]]:
        back = parts[0].epoch.endswith(BACK)
        for _, pair in itertools.groupby(sorted(parts, key=lambda p: (p.chunk, p.suffix)), key=lambda p: p.chunk):
            entries: dict[str, Entry] = {}
            for part in sorted(pair, key=lambda p: p.suffix, reverse=True):  # intent, then done
                entries |= self._entries(part.key)
            for key in sorted(entries):
                if key in within:
                    yield key, order, Version(entries[key], back)

    def _entries(self, key: str) -> dict[str, Entry]:
        """The entries of one file, none of one that is not ours; UserError where it is ours and cannot be read."""
        try:
            lines = self._lines(key)
            return {} if lines is None else dict(map(_decode, lines))
        except DAMAGED as error:
            raise UserError(
                Reason.CONTRACT_MISMATCH,
                f"{key} among the records is damaged, or was not written by this migration ({error}): see who may "
                "write below .bucketops/, move it away and set a new trigger",
            ) from error

    def _lines(self, key: str) -> Iterator[Any] | None:
        """What a file says, if it is ours."""
        lines = self._records.read_sealed(key)
        if lines is None:
            if not self.strangers:
                log.warning("a file of the journal bears no seal of ours and does not count", extra={"key": key})
            self.stranger = self.stranger or key
            self.strangers += 1
        return lines


def _by_age(parts: Iterable[_Part]) -> Iterator[Sequence[_Part]]:
    """Segments from the oldest to the newest: by epoch, then by number (those of different shards share no key)."""

    def age(part: _Part) -> tuple[int, str, int, str, int]:
        return part.age, part.epoch, part.number, part.segment, part.shard

    for _, segment in itertools.groupby(sorted(parts, key=age), key=age):
        yield list(segment)


def _part(key: str, name: str) -> _Part | None:
    """The part that a key stands for; None for an object that no Writer has named."""
    found = _NAME.fullmatch(name)
    return _Part(found[1], int(found[2]), found[3], found[4], found[5], key) if found else None


def _encode(key: str, entry: Entry) -> list[object]:
    head = [key, entry.source_etag, entry.source_size, entry.copied, entry.before, entry.rows]
    ended = entry.committed or entry.outcome is not None
    if not ended:
        return head
    more = [entry.not_kept, entry.undeletable, entry.verified]
    beside = more if any(more) else []
    return [*head, entry.after, entry.outcome, entry.committed, entry.message, *beside]


def _decode(line: list[Any]) -> tuple[str, Entry]:
    key, source_etag, size, copied, before, rows, *end = line
    known = tuple((row, RowOutcome(outcome)) for row, outcome in rows)
    entry = Entry(source_etag, size, copied, before, rows=known)
    if end:
        after, outcome, committed, message, *beside = end
        known_as = Outcome(outcome) if outcome else None
        entry = replace(entry, committed=committed, after=after, outcome=known_as, message=message)
        not_kept, undeletable, *verified = beside or ("", "")
        entry = replace(entry, not_kept=not_kept, undeletable=undeletable, verified=any(verified))
    return key, entry
