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
    NotFoundError,
    PreconditionFailedError,
    StoppedError,
)
from bucketops_jobs.migration import claim, evidence, replicas, rights
from bucketops_jobs.migration.ahead import Ahead
from bucketops_jobs.migration.content import Copied, equal_etags
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.evidence import DifferentError, Proof, UnknownError
from bucketops_jobs.migration.journal import Chunk
from bucketops_jobs.migration.lookup import lookup, seen
from bucketops_jobs.migration.merge import UNKNOWN, Decision, Entry, Item, Outcome, RowOutcome, settled_rows
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
    verified: bool = False
    """Whether contents were compared: Entry.verified."""
    failure: str = ""
    again: bool = False
    """Whether the failure may be one of this moment, so that another walk has to look."""
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
        with Ahead(self._context.tally) as ahead:
            with self._copying:
                answers = self._copied(works, ahead)
            replicas.wait(self._context)
            settled = self._look_again(works, answers)
            claim.require(self._context)
            verdicts = self._rewrite(settled)
            journal.done((s.work.item.key, outcome(s, verdicts)) for s in settled if s.commit or s.failure)
        for one in settled:
            self._count(one, verdicts)

    def _copied(self, works: Sequence[Work], ahead: Ahead) -> Mapping[str, Answer]:
        """By the item's key what came of its copy, of those that are copied."""
        wanted = {
            work.item.key: (work.item.source, self._context.destination_key(work.item.key), work.decision.copy)
            for work in works
            if work.decision.copy is not None and work.item.source is not None
        }
        answers = transfer(self._context, self._plan, list(wanted.values()), ahead)
        rights.still(self._context, answers, in_parts=self._plan.capabilities.multipart)
        return dict(zip(wanted, answers, strict=True))

    def _look_again(self, works: Sequence[Work], answers: Mapping[str, Answer]) -> list[Settled]:
        sources, destinations = self._now(works, answers)
        checked = self._verified(works, answers, destinations)
        return [
            replace(
                settle(work, checked.get(key), sources.get(key), destinations.get(key)),
                not_kept=self._not_kept(work, answers.get(key), checked.get(key)),
            )
            for work in works
            for key in [work.item.key]
        ]

    def _verified(
        self, works: Sequence[Work], answers: Mapping[str, Answer], destinations: Mapping[str, Object]
    ) -> Mapping[str, Proof | Exception]:
        """By the item's key the proof of its copy, or why there is none; each copy is looked at, whatever was answered.

        The listing that was needed anyway proves most of them; only what it leaves open costs requests.
        """
        checked: dict[str, Proof | Exception] = {}
        doubtful: dict[str, tuple[Object, Copied, Object]] = {}
        for work in works:
            key, source, answer = work.item.key, work.item.source, answers.get(work.item.key)
            copy = destinations.get(key)
            if isinstance(answer, Exception):
                checked[key] = answer
            elif answer is not None and source is not None and copy is None:
                checked[key] = self._unlisted(key)
            elif answer is not None and source is not None and copy is not None:
                found = evidence.by_listing(source, answer, copy)
                if found is None or (isinstance(found, Proof) and self._context.spec.verify == "Content"):
                    doubtful[key] = source, answer, copy
                else:
                    checked[key] = found
        compare = self._context.same
        found_out = self._context.engine.map(lambda key: evidence.compared(*doubtful[key], compare), list(doubtful))
        return checked | dict(zip(doubtful, found_out, strict=True))

    def _unlisted(self, key: str) -> UnknownError:
        """A copy that the server answers for and does not list is stored under another key, or not at all."""
        return UnknownError(
            f"{self._context.destination_key(key)!r} was written to {self._context.destination.bucket}, whose listing "
            "does not show it: the server keeps it under another name, or not at all; rename the object, or move to a "
            "server that takes any key"
        )

    def _not_kept(self, work: Work, answer: Answer | None, proof: Proof | Exception | None) -> str:
        """What the copy lacks; of its storage class the listing tells."""
        if not isinstance(answer, Copied) or not isinstance(proof, Proof) or work.item.source is None:
            return ""
        lost, now, was = [*answer.not_kept], proof.copy.storage_class, work.item.source.storage_class
        if self._context.spec.destination.storage_class is None and now != was:
            lost.append(f"storage class {was} (now {now})")
        return ", ".join(lost)[:MESSAGE]

    def _now(
        self, works: Sequence[Work], answers: Mapping[str, Answer]
    ) -> tuple[Mapping[str, Object], Mapping[str, Object]]:
        """Both sides as they are listed now; HEAD is believed where it says what is expected."""
        context, keys = self._context, [work.item.key for work in works]
        span = works[-1].position - works[0].position + 1
        sources = {work.item.key: seen(work.item.source) for work in works}
        copies = {work.item.key: _expected(work, answers.get(work.item.key)) for work in works}
        return (
            lookup(context.engine, context.source, context.spec.source.prefix, keys, span=span, expected=sources),
            lookup(
                context.engine, context.destination, context.spec.destination.prefix, keys, span=span, expected=copies
            ),
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
        if one.failure and one.again:
            tally.add(counts.CHANGED)
            tally.add(counts.PENDING)
            return
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


def _expected(work: Work, answer: Answer | None) -> tuple[str, int] | None:
    """ETag and size of the destination after the copy, if all went well."""
    if isinstance(answer, Copied) and work.item.source is not None:
        return answer.etag, work.item.source.size
    return seen(work.item.destination)


def settle(
    work: Work,
    proof: Proof | Exception | None,
    source: Object | None,
    destination: Object | None,
) -> Settled:
    """What the second look allows: rows are rewritten only to an object that is proven, of a source unchanged.

    `proof`: of what was copied, or why there is none; None: nothing was to be copied.
    """
    if isinstance(proof, StoppedError):
        return Settled(work)  # not begun: the next walk decides anew
    if isinstance(proof, PreconditionFailedError | NotFoundError):
        return _refused(work, proof, source, destination)
    if isinstance(proof, Exception):
        return _unproven(work, proof)
    if destination is None:
        return Settled(work)
    if proof is None and seen(destination) != seen(work.item.destination):
        return Settled(work)
    after = _after(work, proof, destination)
    unchanged = seen(source) == seen(work.item.source)
    looked = _compared(work, proof, after)
    return Settled(work, after=after, commit=work.decision.journal, rewrite=unchanged, verified=looked)


def _refused(work: Work, error: Exception, source: Object | None, destination: Object | None) -> Settled:
    """Changed under our hands, as a rule. If nothing has changed, the server refuses a condition that holds."""
    if seen(source) != seen(work.item.source) or seen(destination) != seen(work.item.destination):
        return Settled(work)
    words = f"{error}: yet both places are listed unchanged, so the server refuses what it lists itself"
    return Settled(work, failure=words, again=not _known(work))


def _unproven(work: Work, error: Exception) -> Settled:
    if isinstance(error, UnknownError):
        return Settled(work, after=UNKNOWN, failure=str(error), again=not _known(work))
    after = error.etag if isinstance(error, DifferentError) else None
    return Settled(work, after=after, failure=str(error), again=after is not None and not _known(work))


def _known(work: Work) -> bool:
    """Whether an earlier walk has met the same: what was of its moment has passed."""
    entry = work.item.entry
    return entry is not None and entry.outcome is Outcome.FAILED and not entry.committed


def _compared(work: Work, proof: Proof | None, after: str | None) -> bool:
    """Entry.verified: whether the walk or the look after the copy compared contents beyond what equal ETags show."""
    source, copy = work.item.source, proof.copy if proof is not None else work.item.destination
    if source is None or copy is None or after != copy.etag or equal_etags(source, copy):
        return False
    committed = work.item.entry is not None and work.item.entry.committed and not work.decision.compared
    return proof is not None or (work.item.entry.verified if committed and work.item.entry else True)


def _after(work: Work, proof: Proof | None, destination: Object) -> str | None:
    if proof is not None:
        return proof.copy.etag
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
        verified=one.verified,
        message=why[:MESSAGE],
        not_kept=one.not_kept or _still_not_kept(one.work),
    )


def _still_not_kept(work: Work) -> str:
    """What an earlier copy lacked, and lacks still."""
    entry = work.item.entry
    return entry.not_kept if entry is not None and work.decision.copy is None else ""


def _ids(one: Settled) -> list[str]:
    return [row.id for row in one.work.item.legacy]
