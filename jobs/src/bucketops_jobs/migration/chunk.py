"""The protocol of one chunk: intent, copy, look again, rewrite, outcome. A crash after any line is safe.

After the intent: nothing happened, or a copy that no row names. After a copy: the next walk finds it equal to what
the intent says. After the commit: the rows name objects that exist. After the outcome: it is recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from bucketops_api import counts
from bucketops_jobs.errors import (
    ItemError,
    NotFoundError,
    PreconditionFailedError,
    StoppedError,
)
from bucketops_jobs.migration import claim, content, replicas, rights
from bucketops_jobs.migration.content import Copied, DifferentError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.journal import Chunk
from bucketops_jobs.migration.lookup import lookup
from bucketops_jobs.migration.merge import Decision, Entry, Item, Outcome, RowOutcome, settled_rows
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.rewrite import Rewrite, Verdict
from bucketops_jobs.migration.transfer import Answer, transfer
from bucketops_jobs.s3.store import Object

NOT_KEPT = "notKept"
"""The outcome of samples that tell what a copy lacks; the object itself has been moved."""
COPYING = 2
"""Chunks of a shard that copy at once: the next one fills the slots that the last requests of one leave."""
MESSAGE = 300
"""Characters of a failure's message in the journal."""


@dataclass(frozen=True)
class Work:
    """An item with something to do."""

    item: Item
    decision: Decision
    position: int
    """Of the item in the walk: how far apart two works are."""

    @cached_property
    def intent(self) -> Entry:
        """What the journal says before anything is written."""
        return intent(self.item, self.decision)


@dataclass(frozen=True)
class Settled:
    """Where a work stands after the copy and the second look."""

    work: Work
    after: str | None = None
    """ETag of the destination as we left it."""
    commit: bool = False
    """Whether the journal may say so."""
    rewrite: bool = False
    """Whether rows may name the destination now."""
    failure: str = ""
    not_kept: str = ""
    """Properties of the original that the copy lacks."""


class Chunks:
    """Processes chunks of works for one shard."""

    def __init__(self, context: Context, plan: Plan) -> None:
        self._context = context
        self._plan = plan
        self._copying = threading.Semaphore(COPYING)

    def process(self, journal: Chunk, works: Sequence[Work]) -> None:
        """All steps, in their order. Chunks may be processed side by side: none has a key of another."""
        journal.intend((w.item.key, w.intent) for w in works if w.decision.journal)
        with self._copying:
            answers = self._copied(works)
        replicas.wait(self._context)
        settled = self._look_again(works, answers)
        claim.require(self._context)
        verdicts = self._rewrite(settled)
        journal.done((s.work.item.key, outcome(s, verdicts)) for s in settled if s.commit or s.failure)
        for one in settled:
            self._count(one, verdicts)

    def _copied(self, works: Sequence[Work]) -> Mapping[str, Answer]:
        """By the item's key what came of its copy, of those that are copied."""
        wanted = {
            work.item.key: (work.item.source, self._context.destination_key(work.item.key), work.decision.copy)
            for work in works
            if work.decision.copy is not None and work.item.source is not None
        }
        answers = transfer(self._context, self._plan, list(wanted.values()))
        rights.still(self._context, answers)
        return dict(zip(wanted, answers, strict=True))

    def _look_again(self, works: Sequence[Work], answers: Mapping[str, Answer]) -> list[Settled]:
        sources, destinations = self._now(works)
        looked = {key: self._listed(key, answer, destinations) for key, answer in answers.items()}
        checked = self._verified(works, looked, destinations)
        return [
            replace(
                settle(work, _etag_or_error(checked.get(key)), sources.get(key), destinations.get(key)),
                not_kept=self._not_kept(work, checked.get(key), destinations.get(key)),
            )
            for work in works
            for key in [work.item.key]
        ]

    def _verified(
        self, works: Sequence[Work], answers: Mapping[str, Answer], destinations: Mapping[str, Object]
    ) -> Mapping[str, Answer]:
        """The same once the copies were compared with their originals, where nobody has written there since."""
        pairs: dict[str, tuple[Object, Object]] = {}
        for work in works:
            key, source = work.item.key, work.item.source
            answer, copy = answers.get(key), destinations.get(key)
            if isinstance(answer, Copied) and source and copy and copy.etag == answer.etag:
                known = answer.verified or content.equal_etags(source, copy)
                if not known or self._context.spec.verify == "Content":
                    pairs[key] = source, copy
        found = self._context.engine.map(lambda key: self._compared(*pairs[key]), list(pairs))
        wrong = {key: answer for key, answer in zip(pairs, found, strict=True) if answer is not None}
        return {**answers, **wrong}

    def _compared(self, source: Object, copy: Object) -> DifferentError | None:
        if self._context.same(source, copy):
            return None
        return DifferentError(
            f"the copy {copy.key!r} holds other bytes than its original (verify: {self._context.spec.verify}): it is "
            "copied again; if that goes on, a disk or the network damages what it carries",
            copy.etag,
        )

    def _not_kept(self, work: Work, answer: Answer | None, copy: Object | None) -> str:
        """What the copy lacks; of its storage class the listing tells."""
        source = work.item.source
        if not isinstance(answer, Copied) or source is None or copy is None:
            return ""
        lost = [*answer.not_kept]
        if self._context.spec.destination.storage_class is None and copy.storage_class != source.storage_class:
            lost.append(f"storage class {source.storage_class} (now {copy.storage_class})")
        return ", ".join(lost)[:MESSAGE]

    def _listed(self, key: str, answer: Answer, destinations: Mapping[str, Object]) -> Answer:
        """A copy that the server answers for and does not list has been stored under another key.

        versitygw stores a//b as a/b.
        """
        if not isinstance(answer, Copied) or key in destinations:
            return answer
        written = self._context.destination_key(key)
        if self._context.destination.head(written) is None:
            return answer
        return ItemError(
            f"{written!r} was written to {self._context.destination.bucket}, whose listing does not show it: the "
            "server keeps it under another name; rename the object, or move to a server that takes any key"
        )

    def _now(self, works: Sequence[Work]) -> tuple[Mapping[str, Object], Mapping[str, Object]]:
        context, keys = self._context, [work.item.key for work in works]
        span = works[-1].position - works[0].position + 1
        return (
            lookup(context.engine, context.source, context.spec.source.prefix, keys, span=span),
            lookup(context.engine, context.destination, context.spec.destination.prefix, keys, span=span),
        )

    def _rewrite(self, settled: Sequence[Settled]) -> Mapping[str, Verdict]:
        rows = self._context.rows
        if rows is None:
            return {}
        wanted = [
            Rewrite(row, rows.new_value(row, one.work.item.key))
            for one in settled
            if one.rewrite
            for row in one.work.item.legacy
        ]
        return rows.rewrite(wanted) if wanted else {}

    def _count(self, one: Settled, verdicts: Mapping[str, Verdict]) -> None:
        tally, item = self._context.tally, one.work.item
        if one.failure:
            tally.add(counts.OBJECTS + Outcome.FAILED)
            tally.add(counts.ROWS + RowOutcome.FAILED, len(item.legacy))
            tally.add(counts.DONE)
            tally.sample(item.key, Outcome.FAILED, one.failure)
            return
        if not one.rewrite:
            tally.add(counts.CHANGED)
            tally.add(counts.PENDING)
            return
        tally.add(counts.CHANGED, int(_changed(one, verdicts)))
        if one.work.decision.outcome:
            tally.add(counts.OBJECTS + one.work.decision.outcome)
            tally.add(counts.DONE)
            tally.add(counts.BYTES, item.source.size if item.source else 0)
        if one.not_kept:
            tally.add(counts.NOT_KEPT)
            tally.sample(item.key, NOT_KEPT, one.not_kept, last=True)
        self._count_rows(one, verdicts)

    def _count_rows(self, one: Settled, verdicts: Mapping[str, Verdict]) -> None:
        tally, item = self._context.tally, one.work.item
        for result in rows_after(one, verdicts).values():
            tally.add(counts.ROWS + result)
        for row in item.legacy:
            verdict = verdicts.get(row.id)
            if verdict is None:
                tally.add(counts.PENDING)
            elif not isinstance(verdict, RowOutcome):
                tally.sample(item.key, "rowFailed", verdict)
        if item.legacy:
            tally.mark("lastLegacyWrite", datetime.now(UTC))


def _changed(one: Settled, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether this walk changed anything, so that another one has to look."""
    new = one.work.item.entry is None or not one.work.item.entry.committed
    swapped = any(verdicts.get(row.id) is RowOutcome.REWRITTEN for row in one.work.item.legacy)
    return one.work.decision.copy is not None or new or swapped


def intent(item: Item, decision: Decision) -> Entry:
    """What is about to be done. What is committed stays so where only rows are rewritten."""
    become = decision.rewrite or RowOutcome.REWRITTEN
    rows = tuple((settled_rows(item) | {row.id: become for row in item.legacy}).items())
    if item.entry is not None and item.entry.committed and decision.copy is None and not decision.compared:
        if item.entry.inherited:  # nothing of ours yet
            return replace(item.entry, rows=rows, committed=False, copied=False, before=None, inherited=False)
        return replace(item.entry, rows=rows)
    open_copy = item.entry is not None and item.entry.copied and not item.entry.committed
    etag, size = ("", 0) if item.source is None and decision.compared else _source(item)
    return Entry(
        source_etag=etag,
        source_size=size,
        copied=decision.copy is not None or (open_copy and not decision.compared),
        before=_before(item, decision),
        rows=rows,
    )


def _source(item: Item) -> tuple[str, int]:
    if item.source is not None:
        return item.source.etag, item.source.size
    return (item.entry.source_etag, item.entry.source_size) if item.entry else ("", 0)


def _before(item: Item, decision: Decision) -> str | None:
    """The destination before our copy: what it is now if we copy now, else what an open intent says."""
    if decision.copy is None and item.entry is not None:
        return item.entry.before
    return item.destination.etag if item.destination else None


def _etag_or_error(answer: Answer | None) -> str | Exception | None:
    return answer.etag if isinstance(answer, Copied) else answer


def settle(
    work: Work,
    answer: str | Exception | None,
    source: Object | None,
    destination: Object | None,
) -> Settled:
    """What the second look allows: rows are rewritten only to an object that is there, of a source unchanged."""
    if isinstance(answer, PreconditionFailedError | NotFoundError | StoppedError):
        return Settled(work)  # changed under our hands, or not begun: the next walk decides anew
    if isinstance(answer, Exception):
        return Settled(work, after=answer.etag if isinstance(answer, DifferentError) else None, failure=str(answer))
    if destination is None:
        return Settled(work)
    seen = work.item.destination
    if answer is None and (seen is None or destination.etag != seen.etag):
        return Settled(work)
    unchanged = _etag(source) == _etag(work.item.source)
    return Settled(work, after=_after(work, answer, destination), commit=work.decision.journal, rewrite=unchanged)


def _etag(entry: Object | None) -> str | None:
    return entry.etag if entry else None


def _after(work: Work, answer: str | None, destination: Object) -> str | None:
    if answer is not None:
        return answer
    if work.decision.keeps:
        return None
    entry = work.item.entry
    keeps_entry = entry is not None and entry.committed and not work.decision.compared
    return entry.after if entry is not None and keeps_entry else destination.etag


def rows_after(one: Settled, verdicts: Mapping[str, Verdict]) -> dict[str, RowOutcome]:
    """By row id what became of the rows of a work, those of earlier walks included."""
    rows = settled_rows(one.work.item)
    for row in one.work.item.legacy:
        verdict = verdicts.get(row.id)
        if isinstance(verdict, RowOutcome):
            swapped = verdict is RowOutcome.REWRITTEN
            rows[row.id] = (one.work.decision.rewrite or verdict) if swapped else verdict
        elif verdict is not None:
            rows[row.id] = RowOutcome.FAILED
    return rows


def outcome(one: Settled, verdicts: Mapping[str, Verdict]) -> Entry:
    """What the journal says after the commit, or after the store refused the copy."""
    if one.failure:
        refused = dict.fromkeys((row.id for row in one.work.item.legacy), RowOutcome.FAILED)
        rows = tuple((settled_rows(one.work.item) | refused).items())
        failed = replace(one.work.intent, outcome=Outcome.FAILED, rows=rows, message=one.failure[:MESSAGE])
        return replace(failed, after=one.after)
    why = "; ".join(dict.fromkeys(v for v in map(verdicts.get, _ids(one)) if v and not isinstance(v, RowOutcome)))
    return replace(
        one.work.intent,
        committed=True,
        after=one.after,
        outcome=one.work.decision.outcome,
        rows=tuple(rows_after(one, verdicts).items()),
        message=why[:MESSAGE],
        not_kept=one.not_kept or _still_not_kept(one.work),
    )


def _still_not_kept(work: Work) -> str:
    """What an earlier copy lacked, and lacks still."""
    entry = work.item.entry
    return entry.not_kept if entry is not None and work.decision.copy is None else ""


def _ids(one: Settled) -> list[str]:
    return [row.id for row in one.work.item.legacy]
