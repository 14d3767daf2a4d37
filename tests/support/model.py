"""A small world that obeys the storage's and the database's rules, an application in it, and our worker step by step.

Content is a number that no two writes share; it is the ETag too. What must never happen is asserted where it would.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError
from bucketops_jobs.migration import evidence
from bucketops_jobs.migration.chunk import Settled, Work, outcome, settle
from bucketops_jobs.migration.content import Copied
from bucketops_jobs.migration.merge import Decision, Entry, Item, Outcome, Policy, Row, RowOutcome, decide, deletable
from bucketops_jobs.migration.rewrite import Verdict
from bucketops_jobs.s3.store import Object

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
Answer = str | PreconditionFailedError | NotFoundError | None


def same(one: Object, other: Object) -> bool:
    return one.etag == other.etag


def proof(work: Work, answer: Answer, listed: Object | None) -> evidence.Proof | Exception | None:
    """What chunk.py makes of an answer and of what is listed afterwards."""
    if not isinstance(answer, str) or work.item.source is None:
        return answer if isinstance(answer, Exception) else None
    if listed is None:
        return evidence.UnknownError("not listed")
    try:
        return evidence.after_copy(work.item.source, Copied(answer), listed, same)
    except ItemError as error:
        return error


@dataclass
class Blob:
    """An object: what it holds, who wrote it, and when."""

    content: int
    writer: str
    time: int


@dataclass
class Model:
    """Both places, the rows (primary key -> (legacy, key)), and the journal."""

    policy: Policy
    source: dict[str, Blob] = field(default_factory=dict)
    destination: dict[str, Blob] = field(default_factory=dict)
    rows: dict[int, tuple[bool, str]] = field(default_factory=dict)
    journal: dict[str, Entry] = field(default_factory=dict)
    deleted_by_app: set[str] = field(default_factory=set)
    """Production objects that the application deleted and nobody wrote since."""
    rewritten: set[tuple[int, str]] = field(default_factory=set)
    """Rows that the worker rewrote, with their keys."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # the application

    def upload_legacy(self, key: str) -> None:
        self.source[key] = self._written("app")

    def delete_legacy(self, key: str) -> None:
        """With the rows that name it, as an application deletes a picture."""
        self._forget(legacy=True, key=key)
        self.source.pop(key, None)

    def upload_modern(self, key: str) -> None:
        self.destination[key] = self._written("app")
        self.deleted_by_app.discard(key)

    def delete_modern(self, key: str) -> None:
        self._forget(legacy=False, key=key)
        self.destination.pop(key, None)
        self.deleted_by_app.add(key)

    def lose_modern(self, key: str) -> None:
        """A production object vanishes, and its rows stay."""
        if self.destination.pop(key, None):
            self.deleted_by_app.add(key)

    def knows_modern(self, key: str) -> bool:
        """Whether the application has a reason to touch a production object: a row names it, or it wrote it."""
        blob = self.destination.get(key)
        return blob is not None and (blob.writer == "app" or (False, key) in self.rows.values())

    def write_row(self, pk: int, *, legacy: bool, key: str) -> bool:
        """The application only ever names objects that are there."""
        there = key in (self.source if legacy else self.destination)
        if there:
            self.rows[pk] = (legacy, key)
        return there

    def _written(self, writer: str) -> Blob:
        number = next(self._numbers)
        return Blob(number, writer, number)

    def _forget(self, *, legacy: bool, key: str) -> None:
        self.rows = {pk: named for pk, named in self.rows.items() if named != (legacy, key)}

    # what the worker sees

    def seen_rows(self, key: str) -> tuple[Row, ...]:
        named = sorted((pk, legacy) for pk, (legacy, at) in self.rows.items() if at == key)
        return tuple(Row(0, str(pk), _value(key, legacy=legacy), legacy) for pk, legacy in named)

    def item(self, key: str, rows: tuple[Row, ...] | None = None) -> Item:
        known = self.seen_rows(key) if rows is None else rows
        return Item(
            key, self._object(self.source, key), self._object(self.destination, key), self.journal.get(key), known
        )

    def decide(self, item: Item) -> Decision:
        return decide(item, self.policy, same)

    def _object(self, place: dict[str, Blob], key: str) -> Object | None:
        blob = place.get(key)
        return Object(key, str(blob.content), 1, WHEN) if blob else None

    # what the worker does

    def copy(self, work: Work, *, lies: bool = False) -> Answer:
        """A conditional copy; a server that `lies` answers as if it had kept what it was given, and keeps less."""
        key, expect, seen = work.item.key, work.decision.copy, work.item.source
        if expect is None or seen is None:
            return None
        now, there = self.source.get(key), self.destination.get(key)
        if now is None:
            return NotFoundError("source")
        if str(now.content) != seen.etag or (expect.absent and there is not None):
            return PreconditionFailedError("source or destination")
        if expect.etag is not None and (there is None or str(there.content) != expect.etag):
            return PreconditionFailedError("destination")
        self._require_ours(work.item, there)
        number = next(self._numbers)
        self.destination[key] = Blob(-number if lies else now.content, "us", number)
        self.deleted_by_app.discard(key)
        return str(now.content)

    def _require_ours(self, item: Item, there: Blob | None) -> None:
        key, entry = item.key, item.entry
        if there is not None and self.policy.on_conflict != "Overwrite":
            assert there.writer == "us", f"{key}: what {there.writer} wrote is overwritten"
        done = entry is not None and entry.committed and bool(entry.source_etag)
        undone = done and key in self.deleted_by_app and not item.rows
        assert not undone, f"{key}: deleted by the application and brought back"

    def look(self, work: Work, answer: Answer) -> Settled:
        key = work.item.key
        source, copy = self._object(self.source, key), self._object(self.destination, key)
        one = settle(work, proof(work, answer, copy), source, copy)
        assert key in self.destination or not one.rewrite, f"{key}: rows are to name an object that was not seen"
        return one

    def rewrite(self, one: Settled, held: frozenset[str]) -> dict[str, Verdict]:
        """Compare and swap; rows in `held` are locked by somebody, the row `9` breaks a constraint."""
        verdicts: dict[str, Verdict] = {}
        for row in one.work.item.legacy if one.rewrite else ():
            pk, key = int(row.pk), one.work.item.key
            now = self.rows.get(pk)
            if now == (True, key) and row.pk == "9":
                verdicts[row.id] = "the constraint says no"
            elif now == (True, key) and row.pk not in held:
                self.rows[pk] = (False, key)
                self.rewritten.add((pk, key))
                verdicts[row.id] = RowOutcome.REWRITTEN
            elif now == (True, key):
                verdicts[row.id] = None
            else:
                verdicts[row.id] = RowOutcome.REWRITTEN if now == (False, key) else RowOutcome.CHANGED_BY_APP
        return verdicts

    def record(self, one: Settled, verdicts: dict[str, Verdict]) -> None:
        """The outcome; content that was there already and equal is taken over as ours."""
        if not one.commit and not one.failure:
            return
        key, there = one.work.item.key, self.destination.get(one.work.item.key)
        self.journal[key] = outcome(one, verdicts)
        equal = one.work.decision.outcome is Outcome.ALREADY and not one.work.decision.keeps
        if equal and there is not None and there.writer == "before" and one.after == str(there.content):
            there.writer = "us"

    def intend(self, work: Work) -> None:
        if work.decision.journal:
            self.journal[work.item.key] = work.intent

    def delete(self, key: str) -> bool:
        """The check and the request at once: between them lies the grace, which keeps writers of legacy rows away."""
        if deletable(self.item(key)) is not None:
            return False
        source, there = self.source[key], self.destination.get(key)
        assert (True, key) not in self.rows.values(), f"{key}: deleted while a row names it"
        assert there is not None, f"{key}: deleted without a copy"
        newer = there.writer == "app" and there.time > source.time
        kept = self.policy.on_conflict == "KeepDestination"
        assert there.content == source.content or newer or kept, f"{key}: deleted with other content at the destination"
        del self.source[key]
        return True

    # what must always hold

    def check(self) -> None:
        for pk, (legacy, key) in self.rows.items():
            if not legacy and (pk, key) in self.rewritten:
                blob = self.destination.get(key)
                assert blob is None or blob.content > 0, f"row {pk} was rewritten to {key}, whose copy is damaged"
            if not legacy:
                gone_by_app = key in self.deleted_by_app
                assert key in self.destination or gone_by_app, f"row {pk} names {key}, which does not exist"


def _value(key: str, *, legacy: bool) -> str:
    return ("image/" if legacy else "avatar/") + key
