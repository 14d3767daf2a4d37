"""What the journal's entries of one key mean together, for a migration and for its rollback. Pure.

A rollback works as a migration the other way round, from the new place to the legacy one. What it brought back is as if
it had never been moved: a later migration begins anew with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bucketops_jobs.migration.merge import UNKNOWN, Entry, Item, Outcome, RowOutcome

_SWAPPED = {RowOutcome.REWRITTEN, RowOutcome.HEALED}
_NEVER = "-"
"""No object has this ETag."""


class Version(NamedTuple):
    """One entry of a key, and who wrote it: the migration, or a rollback of it (`back`)."""

    entry: Entry
    back: bool


History = Sequence[Version]
"""All entries of a key, the oldest first."""
Recall = Callable[[Item, History], Item]
"""The item with what its history means for it."""


def onward(item: Item, history: History) -> Item:
    """For a migration: the newest entry, unless a rollback has brought the object back since."""
    entry = None
    for version in history:
        if not version.back:
            entry = _credible(version.entry)
        elif _brought_back(version.entry):
            entry = None
    return item if entry is item.entry else replace(item, entry=entry)


def _credible(entry: Entry) -> Entry:
    """What was committed without knowing what was written (a server answered no ETag) is worth an intent alone."""
    if not (entry.committed and entry.source_etag and entry.after == UNKNOWN):
        return entry
    return replace(entry, committed=False, copied=True, outcome=None)


def _brought_back(entry: Entry) -> bool:
    return entry.committed and bool(entry.source_etag)


def backward(item: Item, history: History) -> Item:
    """For a rollback: what it did itself, or else how the migration left both places; no entry where it moved nothing.

    A row that the migration did not rewrite is the application's own.
    """
    past = _past(history)
    entry = past.entry(item)
    if entry is None:
        return replace(item, entry=None)
    ours = past.swapped | past.intended | {row for row, _ in entry.rows}
    rows = tuple(replace(row, foreign=True) if row.legacy and row.id not in ours else row for row in item.rows)
    return replace(item, entry=entry, rows=rows)


@dataclass
class _Past:
    """What a migration and its rollbacks did to one key, as far as it still holds."""

    moved: Entry | None = None
    """The migration's last that was committed."""
    begun: Entry | None = None
    """The migration's newest, if it was never committed."""
    last: Entry | None = None
    made: bool = False
    """Whether the migration made the object: it found nothing at its place, or what it had made itself."""
    swapped: set[str] = field(default_factory=set)
    """Rows that the migration rewrote."""
    intended: set[str] = field(default_factory=set)
    """Rows that it was about to rewrite."""
    own: Entry | None = None
    """The rollback's."""

    def entry(self, item: Item) -> Entry | None:
        """What the item's entry is for a rollback."""
        left = self._as_left(item)
        if self.own is None or not (self.own.committed or self.own.copied):
            rows = dict(self.own.rows) if self.own and left else {}
            return replace(left, rows=tuple((dict(left.rows) | rows).items())) if left else None
        rows = dict(left.rows) if left else {}
        return replace(self.own, rows=tuple((rows | dict(self.own.rows)).items()), keep=not self.made)

    def _as_left(self, item: Item) -> Entry | None:
        if self.moved is not None:
            return self._inherited(self.moved, self.moved.after or self.moved.before or _NEVER)
        if self.begun is not None:
            return self._unfinished(item, self.begun)
        return None

    def _unfinished(self, item: Item, begun: Entry) -> Entry | None:
        """A migration that died in the middle: its copy may be there, and its rows may name it."""
        now = item.source
        copied = begun.copied and now is not None and (now.etag, now.size) == (begun.source_etag, begun.source_size)
        if not copied and not any(row.legacy and row.id in self.intended for row in item.rows):
            return None
        return self._inherited(begun, now.etag if copied and now else _NEVER)

    def _inherited(self, entry: Entry, etag: str) -> Entry:
        return Entry(
            source_etag=etag,
            source_size=entry.source_size,
            copied=True,
            before=None,
            committed=True,
            after=entry.source_etag,
            outcome=Outcome.ALREADY,
            rows=tuple((row, RowOutcome.REWRITTEN) for row in sorted(self.swapped)),
            inherited=True,
            keep=not self.made,
            verified=entry.verified,
        )


def _past(history: Iterable[Version]) -> _Past:
    past = _Past()
    for entry, back in history:
        if back:
            _goes_back(past, _credible(entry))
        else:
            _goes_on(past, _credible(entry))
    return past


def _goes_back(past: _Past, entry: Entry) -> None:
    """An intent that was to copy nothing says nothing, but of rows; it does not hide what was done before it."""
    if entry.committed or entry.copied or past.own is None:
        past.own = entry
    else:
        past.own = replace(past.own, rows=tuple((dict(past.own.rows) | dict(entry.rows)).items()))


def _goes_on(past: _Past, entry: Entry) -> None:
    if past.own is not None:
        if _brought_back(past.own):
            past.moved, past.begun, past.swapped, past.intended = None, None, set(), set()
        past.own = None
    past.made = _made(past, entry)
    past.last = entry
    rows = {row for row, outcome in entry.rows if outcome in _SWAPPED}
    if not entry.source_etag or entry.outcome is Outcome.FAILED:
        past.swapped |= rows if entry.committed else set()
    elif entry.committed:
        past.moved, past.begun = entry, None
        past.swapped |= rows
    else:
        past.begun = entry
        past.intended |= rows


def _made(past: _Past, entry: Entry) -> bool:
    if entry.copied and entry.before is None:
        return True
    last = past.last
    return past.made and last is not None and entry.before in {last.after, last.before, last.source_etag}
