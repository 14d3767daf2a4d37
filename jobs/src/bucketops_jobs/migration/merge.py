"""The decision table: what to do with one key, from what the listings, the rows and the journal say. Pure.

Listings and rows are the truth about what exists; the journal is the truth about what we did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Literal

from bucketops_jobs.s3.store import ABSENT, Expect, Object


class Outcome(StrEnum):
    """Every object ends in exactly one."""

    MOVED = "moved"
    ALREADY = "already"
    CONFLICT = "conflict"
    CHANGED_BY_APP = "changedByApp"
    IGNORED = "ignored"
    FAILED = "failed"


UNKNOWN = ""
"""As `Entry.after`: no ETag. What stands at the destination is nobody's that we know."""


class RowOutcome(StrEnum):
    """Every legacy row ends in exactly one."""

    REWRITTEN = "rewritten"
    HEALED = "healed"
    MISSING_SOURCE = "missingSource"
    CHANGED_BY_APP = "changedByApp"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that names an object: which reference, its primary key, and the value as it stands in the column."""

    reference: int
    pk: str
    value: str
    legacy: bool
    foreign: bool = False
    """Of a rollback: the application's own, never ours to rewrite; what it names stays."""
    stays: bool = False
    """It has the same value for both places, and is never rewritten."""

    @property
    def id(self) -> str:
        """How the journal names it."""
        return f"{self.reference}:{self.pk}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal says of a key: the intent, and once `committed` what came of it."""

    source_etag: str
    """Empty: no object, only rows that were healed."""
    source_size: int
    copied: bool
    """Whether we meant to write the destination; otherwise its content was there already."""
    before: str | None
    """ETag of the destination before our copy; None: absent."""
    committed: bool = False
    after: str | None = None
    """ETag of the destination as we left it; None: other content that the user told us to keep.

    With the outcome `failed`: of a copy of ours that holds other bytes than its original; UNKNOWN where what was listed
    after the copy was neither that nor the original's content.
    """
    outcome: Outcome | None = None
    """What the object became; `failed` with an open intent: the copy was refused."""
    message: str = ""
    """Why it, or one of its rows, failed."""
    rows: tuple[tuple[str, RowOutcome], ...] = ()
    """Rows that named the legacy place, and what became of them (is to become, until committed)."""
    inherited: bool = False
    """Of a rollback: both places as the migration left them, which is rolled back. Never written."""
    keep: bool = False
    """Of a rollback: the object stood there before the migration, and is not deleted. Never written."""
    not_kept: str = ""
    """Properties of the original that the copy lacks."""
    undeletable: str = ""
    """Why the original cannot be deleted: the store refused it, or the proof of its copy is missing."""
    verified: bool = False
    """Whether contents were compared while both had these ETags; not needed where equal ETags show it (evidence.py)."""

    @property
    def became(self) -> Outcome:
        """What the object became, if its copy is there."""
        return self.outcome if self.committed and self.outcome else Outcome.MOVED


@dataclass(frozen=True)
class Item:
    """Everything known of one key (relative to both prefixes)."""

    key: str
    source: Object | None = None
    destination: Object | None = None
    entry: Entry | None = None
    rows: tuple[Row, ...] = ()

    @cached_property
    def legacy(self) -> tuple[Row, ...]:
        """Rows that still name the legacy place."""
        return tuple(row for row in self.rows if row.legacy and not row.foreign)

    @property
    def foreign(self) -> bool:
        """Whether a row that is not ours to rewrite names the legacy place."""
        return any(row.foreign for row in self.rows)

    @property
    def counted(self) -> bool:
        """Whether it is an object of this migration, and so ends in an outcome: rows alone are none."""
        return self.source is not None or (self.entry is not None and _counts(self.entry))


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done: copy (if the destination is as expected), then rewrite the legacy rows, then journal."""

    outcome: Outcome | None
    """None: the key is no object of this migration (rows alone, or a native modern object)."""
    copy: Expect | None = None
    rewrite: RowOutcome | None = None
    """What a legacy row becomes; None: it stays, and counts as `row_outcome`."""
    row_outcome: RowOutcome | None = None
    journal: bool = False
    compared: bool = False
    """It rests on what both places hold now, not on what the journal says."""
    keeps: bool = False
    """The destination's other content stays, as the user told us."""
    message: str = ""

    @property
    def works(self) -> bool:
        """Whether there is anything to do."""
        return self.copy is not None or self.rewrite is not None or self.journal


@dataclass(frozen=True, slots=True)
class Policy:
    """The fields of the spec that the table depends on."""

    on_conflict: Literal["Fail", "KeepDestination", "Overwrite"] = "Fail"
    orphans: Literal["Move", "Ignore"] = "Move"
    goes_back: bool = False
    """A rollback, where both places hold what the application wrote."""


Same = Callable[[Object, Object], bool]
"""Whether two objects have the same content; never decided by size alone."""


def decide(item: Item, policy: Policy, same: Same) -> Decision:
    """The row of the decision table that an item falls under."""
    if item.entry is not None and not _counts(item.entry):
        item = replace(item, entry=None)
    if _without_etag(item):
        return _failed(item, _NO_ETAG)
    if item.source is None:
        return _source_gone(item)
    if item.destination is None:
        return _destination_absent(item, policy)
    if item.entry is not None and _broken(item.entry, item.source, item.destination):
        return _copy(Expect(etag=item.destination.etag))
    if item.entry is not None and _ours(item.entry, item.source, item.destination, same):
        return _as_journalled(item, item.source, item.destination, item.entry)
    return _not_as_journalled(item, item.source, item.destination, policy, same)


def _without_etag(item: Item) -> bool:
    """Whether a version of an object that matters could not be told from the next one."""
    if item.source is None:
        return False
    return not item.source.etag or (item.destination is not None and not item.destination.etag)


def _failed(item: Item, message: str) -> Decision:
    return Decision(Outcome.FAILED, row_outcome=RowOutcome.FAILED if item.legacy else None, message=message)


def _counts(entry: Entry) -> bool:
    """A heal has no object, and an intent that was to copy nothing says nothing of the destination."""
    return bool(entry.source_etag) and (entry.committed or entry.copied)


def _source_gone(item: Item) -> Decision:
    known = item.entry is not None
    if item.destination is None:
        gone = Outcome.CHANGED_BY_APP if known else None
        if not item.legacy:
            return Decision(gone)
        lost = "neither the legacy nor the production object exists: the row stays as it is"
        return Decision(gone, row_outcome=RowOutcome.MISSING_SOURCE, message=lost)
    outcome, ours = None, False
    if item.entry is not None:
        ours = item.entry.committed or _as_intended(item.entry, item.destination)
        outcome = item.entry.became if ours and not item.entry.inherited else Outcome.CHANGED_BY_APP
    if item.legacy:
        return Decision(outcome, rewrite=RowOutcome.HEALED, journal=True, compared=not ours)
    return Decision(outcome)


def _destination_absent(item: Item, policy: Policy) -> Decision:
    if item.entry is not None and item.entry.committed and not item.entry.inherited and not item.rows:
        return Decision(Outcome.CHANGED_BY_APP, message="deleted by the application after it was moved")
    if policy.orphans == "Ignore" and not item.rows:
        return Decision(Outcome.IGNORED)
    return _copy(ABSENT)


def _broken(entry: Entry, source: Object, destination: Object) -> bool:
    """Whether it is a copy of ours that differs from its original: it was found out before, or shows by its size."""
    if destination.etag != entry.after:
        return False
    if not entry.committed:
        return entry.outcome is Outcome.FAILED  # nobody has seen it: it is written anew
    return source.etag == entry.source_etag and destination.size != source.size


def _ours(entry: Entry, source: Object, destination: Object, same: Same) -> bool:
    """Whether the destination is as we left it: as answered, or what an unfinished copy would have made of it."""
    if entry.committed:
        return destination.etag == entry.after
    if destination.etag == entry.before:
        return False
    if source.etag == entry.source_etag:
        return same(source, destination)
    return _as_intended(entry, destination)


def _as_intended(entry: Entry, destination: Object) -> bool:
    """Whether the destination looks like what an unfinished copy would have made of the source."""
    return (destination.etag, destination.size) == (entry.source_etag, entry.source_size)


def _seen_by_all(item: Item, entry: Entry) -> bool:
    """Whether a row of an intent that was never closed names the new place: it was rewritten, so the copy was there."""
    meant = {row for row, _ in entry.rows}
    return entry.copied and any(row.id in meant for row in item.rows if not row.legacy)


def _as_journalled(item: Item, source: Object, destination: Object, entry: Entry) -> Decision:
    if source.etag != entry.source_etag:
        return _copy(Expect(etag=destination.etag))
    return _finished(item, entry)


def _not_as_journalled(item: Item, source: Object, destination: Object, policy: Policy, same: Same) -> Decision:
    """The destination is not ours, or no longer as we left it."""
    entry = item.entry
    if entry is not None and entry.committed and source.etag == entry.source_etag:
        return _finished(item, entry)  # the application's newer picture, or one that the user keeps
    if entry is not None and not entry.committed and destination.etag == entry.before:
        return _copy(Expect(etag=destination.etag))  # the intent's copy was never made
    if entry is not None and _is_unknown(entry) and source.etag == entry.source_etag:
        return _failed(item, entry.message)  # nothing of it is called ours, the user's, or the application's
    if entry is not None and _seen_by_all(item, entry) and source.etag == entry.source_etag:
        # our copy was there and never recorded; what the application wrote over it since is not ours
        return replace(_finished(item, entry), keeps=True)
    if same(source, destination):
        return Decision(Outcome.ALREADY, rewrite=RowOutcome.REWRITTEN, journal=True, compared=True)
    ours = entry is not None and not entry.committed and source.etag == entry.source_etag
    return _conflict(item, destination, _without_keeping(policy) if ours else policy)


def _is_unknown(entry: Entry) -> bool:
    """Whether we wrote there, and what was listed afterwards was not that: damage, or somebody's own."""
    return entry.outcome is Outcome.FAILED and not entry.committed and entry.after == UNKNOWN


def _without_keeping(policy: Policy) -> Policy:
    """A worker died after it wrote there: what is there may be a damaged copy, and is not called the user's."""
    return replace(policy, on_conflict="Fail") if policy.on_conflict == "KeepDestination" else policy


def _copy(expect: Expect) -> Decision:
    return Decision(Outcome.MOVED, copy=expect, rewrite=RowOutcome.REWRITTEN, journal=True)


def _finished(item: Item, entry: Entry) -> Decision:
    """The object is done; rows that still name the legacy place are rewritten, an open intent is closed."""
    todo = bool(item.legacy) or not entry.committed or entry.inherited
    return Decision(entry.became, rewrite=RowOutcome.REWRITTEN if todo else None, journal=todo)


def _conflict(item: Item, destination: Object, policy: Policy) -> Decision:
    if policy.orphans == "Ignore" and not item.rows:
        return Decision(Outcome.IGNORED)
    if policy.on_conflict == "Overwrite":
        return _copy(Expect(etag=destination.etag))
    if policy.on_conflict == "KeepDestination":
        return Decision(Outcome.ALREADY, rewrite=RowOutcome.REWRITTEN, journal=True, compared=True, keeps=True)
    advice = _CHOOSE_ONE if policy.goes_back else _CHOOSE_HOW
    return Decision(Outcome.CONFLICT, row_outcome=RowOutcome.FAILED if item.legacy else None, message=advice)


_NO_ETAG = (
    "the server lists no ETag for it, or for what stands at the destination: no version could be told from another"
)
_CHOOSE_HOW = "the destination holds other content that is not ours: choose onConflict KeepDestination or Overwrite"
_CHOOSE_ONE = "the application has written both places since: delete the object that is not wanted, set a new trigger"


def deletable(item: Item) -> str | None:
    """Why a source object must stay, or None when it may go (the rows are asked for again just before).

    It goes only if the journal says what it became, it is still what the journal speaks of, the destination exists,
    and no row names the legacy place.
    """
    entry = item.entry
    if item.source is None or entry is None or not _final(entry):
        return "the journal does not say what it became"
    if entry.keep:
        return "it was there before the migration"
    if item.source.etag != entry.source_etag:
        return "it was written again after it was copied"
    if item.destination is None:
        return "its copy is not there"
    if item.legacy or item.foreign:
        return "a row still names it"
    return None


def _final(entry: Entry) -> bool:
    """Whether an entry says what became of an object, and what of a destination that can be told from others."""
    return entry.committed and bool(entry.source_etag) and not entry.inherited and entry.after != UNKNOWN


def gave_up(item: Item, decision: Decision) -> bool:
    """Whether what is to be done has been tried and refused: each walk tries again, but nobody waits for it."""
    entry = item.entry
    if entry is None:
        return False
    if decision.copy is not None:
        return entry.outcome is Outcome.FAILED and item.source is not None and item.source.etag == entry.source_etag
    refused = {row for row, outcome in entry.rows if outcome is RowOutcome.FAILED}
    return entry.committed and bool(item.legacy) and all(row.id in refused for row in item.legacy)


def settled_rows(item: Item) -> dict[str, RowOutcome]:
    """Rows that the journal knows and that no longer name the legacy place, by id, and what became of them.

    An intent that was never closed is judged by the rows: what names the new place now was rewritten.
    """
    if item.entry is None:
        return {}
    legacy = {row.id for row in item.rows if row.legacy}
    modern = {row.id for row in item.rows if not row.legacy}
    told = item.entry.committed and not item.entry.inherited
    return {
        row: RowOutcome.CHANGED_BY_APP if _mended(outcome) or not (told or row in modern) else outcome
        for row, outcome in item.entry.rows
        if row not in legacy
    }


def _mended(outcome: RowOutcome) -> bool:
    """A row that we could not rewrite and that names the legacy place no more."""
    return outcome is RowOutcome.FAILED
