"""Delete the legacy objects of one shard, each only on positive evidence that is seconds old."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bucketops_api import counts
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import PreconditionFailedError, StoppedError, TransientError, UserError
from bucketops_jobs.migration import claim, plans, replicas, rights
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import LAST_LEGACY_WRITE, decided
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.lookup import lookup
from bucketops_jobs.migration.merge import Item, deletable, gave_up
from bucketops_jobs.migration.walk import scoped, walk
from bucketops_jobs.s3 import clock
from bucketops_jobs.s3.store import Object

BATCH = 1000
MESSAGE = 300
"""Characters of the store's words in the journal."""
FRESH_SECONDS = 10.0
"""A check older than this is no evidence any more."""


@dataclass(frozen=True)
class Candidate:
    """An object that may go, as far as the walk can tell."""

    item: Item
    source: Object
    position: int


def run(context: Context) -> None:
    """Walk the shard and delete in chunks."""
    _require_time(context)
    plan = plans.of(context)
    within = plan.ranges()[context.shard]
    reader = Reader(context.records)
    histories = reader.histories(plan.epoch, context.shard, within)
    journal = Writer(context.records, plan.epoch, context.shard, reader.next_segment(plan.epoch, context.shard))
    candidates = _candidates(context, scoped(context, walk(context, within, histories)))
    for chunk in context.engine.chunks(candidates, BATCH):
        _note(journal, _process(context, chunk, conditional=plan.capabilities.delete_if_match))


def _require_time(context: Context) -> None:
    """The operator starts this phase after the grace; a worker does not take its word for it."""
    due = context.run.not_before
    if due is None or context.spec.cleanup.policy != "Delete":
        raise UserError(Reason.CONTRACT_MISMATCH, "a delete needs cleanup.policy: Delete and a time to wait for")
    if clock.earliest(context.source, context.spec.source.prefix) < due:
        raise TransientError(f"the grace lasts until {due.isoformat()}")


def _candidates(context: Context, items: Iterable[Item]) -> Iterator[Candidate]:
    for position, item in enumerate(items):
        if item.source is None:
            gone = item.entry is not None and item.entry.committed and bool(item.entry.source_etag)
            context.tally.add(counts.DELETED, int(gone))
        elif deletable(item) is None:
            yield Candidate(item, item.source, position)
            continue
        if _unsettled(context, item):
            _postpone(context, item.key, deletable(item) or "a row names it")


def _unsettled(context: Context, item: Item) -> bool:
    """Whether a sweep has something to do for it; what has ended otherwise (a conflict, say) stays for good."""
    decision = decided(context, item)
    return decision is None or (decision.works and not gave_up(item, decision))


def _note(journal: Writer, refused: Mapping[str, tuple[Candidate, Exception]]) -> None:
    """The audit names these objects, with the store's words."""
    entries = [
        (key, replace(candidate.item.entry, undeletable=f"moved, but the original stays: {error}"[:MESSAGE]))
        for key, (candidate, error) in refused.items()
        if candidate.item.entry is not None
    ]
    if entries:
        journal.chunk().done(entries)


def _process(
    context: Context, chunk: Sequence[Candidate], *, conditional: bool
) -> Mapping[str, tuple[Candidate, Exception]]:
    """Delete what may go; the answer has what the store refused to delete."""
    keys = [candidate.item.key for candidate in chunk]
    if context.rows is not None:
        context.rows.fence(context.engine.require_going)
    replicas.wait(context)
    checked = time.monotonic()
    claim.require(context)
    named = context.rows.naming(keys) if context.rows is not None else set()
    span = chunk[-1].position - chunk[0].position + 1
    sources = lookup(context.engine, context.source, context.spec.source.prefix, keys, span=span)
    copies = lookup(context.engine, context.destination, context.spec.destination.prefix, keys, span=span)
    ready = [c for c in chunk if _may_go(context, c, named, sources, copies)]
    answers = _delete(context, ready, checked + FRESH_SECONDS, conditional=conditional)
    rights.still(context, (error for _, error in answers))
    for candidate, error in answers:
        _count(context, candidate, error)
    return {c.item.key: (c, error) for c, error in answers if error is not None and not _again(error)}


def _may_go(
    context: Context,
    candidate: Candidate,
    named: Collection[str],
    sources: dict[str, Object],
    copies: dict[str, Object],
) -> bool:
    key = candidate.item.key
    now = sources.get(key)
    if now is None:
        context.tally.add(counts.DELETED)
        return False
    grace = parse_duration(context.spec.cleanup.grace)
    reasons = (
        ("a row names it again", key in named),
        ("it was written again after it was copied", now.etag != candidate.source.etag),
        ("its copy is not there", key not in copies),
        ("it was written within the grace", now.modified + grace > datetime.now(UTC) + timedelta(seconds=1)),
    )
    for reason, holds in reasons:
        if holds:
            _postpone(context, key, reason)
            return False
    return True


def _postpone(context: Context, key: str, reason: str) -> None:
    """It stays for now: the sweep goes on, and the grace begins anew."""
    context.tally.add(counts.PENDING)
    context.tally.mark(LAST_LEGACY_WRITE, datetime.now(UTC))
    context.tally.sample(key, "kept", reason)


def _delete(
    context: Context, ready: Sequence[Candidate], until: float, *, conditional: bool
) -> list[tuple[Candidate, Exception | None]]:
    """Each candidate with why it stays, or None once it is gone."""
    if conditional:
        answers = context.engine.map(lambda c: _delete_one(context, c, until), ready)
        return list(zip(ready, answers, strict=True))
    objects = [candidate.source for candidate in ready]
    remaining = context.source.delete(objects, conditional=False, until=until) if ready else {}
    return [(candidate, remaining.get(candidate.source.key)) for candidate in ready]


def _delete_one(context: Context, candidate: Candidate, until: float) -> Exception | None:
    remaining = context.source.delete([candidate.source], conditional=True, until=until)
    return remaining.get(candidate.source.key)


def _count(context: Context, candidate: Candidate, error: Exception | None) -> None:
    if error is None:
        context.tally.add(counts.DELETED)
        context.tally.add(counts.CHANGED)
    elif isinstance(error, StoppedError):
        context.tally.add(counts.PENDING)
    else:
        context.tally.add(counts.PENDING, int(_again(error)))  # what is refused stays, and the audit names it
        context.tally.sample(candidate.item.key, "kept", str(error))


def _again(error: Exception) -> bool:
    """Whether the same may succeed later."""
    return isinstance(error, TransientError | PreconditionFailedError | StoppedError)
