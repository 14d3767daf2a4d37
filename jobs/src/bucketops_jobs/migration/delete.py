"""Delete the legacy objects of one shard, each only on positive evidence that is seconds old.

What is deleted is a `Verified` (evidence.py): no path leads to a deletion past the comparison of both places as they
are listed right before.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bucketops_api import counts
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import (
    ItemError,
    PreconditionFailedError,
    StoppedError,
    TransientError,
    UserError,
)
from bucketops_jobs.migration import claim, evidence, plans, replicas, rights
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import LAST_LEGACY_WRITE, decided
from bucketops_jobs.migration.evidence import Proof, Verified
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.lookup import listed, lookup, seen
from bucketops_jobs.migration.merge import Entry, Item, deletable, gave_up
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
    copy: Object
    entry: Entry
    position: int


@dataclass(frozen=True)
class Ready:
    """A candidate that the last look has found to be as the walk saw it, with the proof of its copy."""

    candidate: Candidate
    verified: Verified


Refused = tuple[Candidate, Exception | None]
"""A candidate with why it stays, or None once it is gone."""


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
        raise TransientError(f"the grace lasts until {due.isoformat(timespec='seconds')}")


def _candidates(context: Context, items: Iterable[Item]) -> Iterator[Candidate]:
    for position, item in enumerate(items):
        if item.source is None:
            gone = item.entry is not None and item.entry.committed and bool(item.entry.source_etag)
            context.tally.add(counts.DELETED, int(gone))
        elif (candidate := _candidate(item, item.source, position)) and not _to_be_repaired(context, candidate):
            yield candidate
            continue
        if _unsettled(context, item):
            _postpone(context, item.key, deletable(item) or "its copy is to be made anew, or a row names it")


def _candidate(item: Item, source: Object, position: int) -> Candidate | None:
    if deletable(item) is not None or item.entry is None or item.destination is None:
        return None
    return Candidate(item, source, item.destination, item.entry, position)


def _to_be_repaired(context: Context, candidate: Candidate) -> bool:
    """Whether its copy is not what it should be, and a sweep would write it anew."""
    doubt = evidence.doubt(candidate.entry, candidate.source, candidate.copy)
    return doubt is not None and _unsettled(context, candidate.item)


def _unsettled(context: Context, item: Item) -> bool:
    """Whether a sweep has something to do for it; what has ended otherwise (a conflict, say) stays for good."""
    decision = decided(context, item)
    return decision is None or (decision.works and not gave_up(item, decision))


def _note(journal: Writer, refused: Mapping[str, tuple[Candidate, Exception]]) -> None:
    """The audit names these objects, with the store's words."""
    entries = [
        (key, replace(candidate.entry, undeletable=f"moved, but the original stays: {error}"[:MESSAGE]))
        for key, (candidate, error) in refused.items()
    ]
    if entries:
        journal.chunk().done(entries)


def _process(
    context: Context, chunk: Sequence[Candidate], *, conditional: bool
) -> Mapping[str, tuple[Candidate, Exception]]:
    """Delete what may go; the answer has what the store refused to delete."""
    keys = [candidate.item.key for candidate in chunk]
    proofs = dict(zip(keys, context.engine.map(lambda c: _proof(context, c), chunk), strict=True))
    if context.rows is not None:
        context.rows.fence(context.engine.require_going)
    replicas.wait(context)
    checked = time.monotonic()
    claim.require(context)
    named = context.rows.naming(keys) if context.rows is not None else set()
    sources, copies = _now(context, chunk)
    hidden = {c.item.key for c in chunk if c.item.key in sources and c.item.key not in copies and _answers(context, c)}
    going = [c for c in chunk if c.item.key in hidden or _may_go(context, c, named, sources, copies)]
    judged = [_judged(c, proofs[c.item.key], sources, copies) for c in going]
    ready = [one for one in judged if isinstance(one, Ready)]
    answers = _delete(context, ready, checked + FRESH_SECONDS, conditional=conditional)
    answers += [one for one in judged if not isinstance(one, Ready)]
    rights.still(context, (error for _, error in answers))
    for candidate, error in answers:
        _count(context, candidate, error)
    return {c.item.key: (c, error) for c, error in answers if error is not None and not _again(error)}


def _proof(context: Context, candidate: Candidate) -> Proof:
    """What the walk's listings and the journal prove, or a comparison; ItemError where nothing does."""
    entry, source, copy = candidate.entry, candidate.source, candidate.copy
    if doubt := evidence.doubt(entry, source, copy):
        raise ItemError(doubt)
    said = None if entry.after is None and not _may_choose(context, candidate.item) else entry
    known = evidence.recorded(said, source, copy) if said else None
    if proof := known or evidence.anew(source, copy, context.same):
        return proof
    raise ItemError("its copy holds other content")


def _may_choose(context: Context, item: Item) -> bool:
    """Whether the destination's own content may stay in the original's place: the spec says so, or a row names it.

    The journal alone cannot say it: others may write where it lies.
    """
    return context.spec.on_conflict == "KeepDestination" or any(not row.legacy for row in item.rows)


def _judged(
    candidate: Candidate, proof: Proof | Exception, sources: Mapping[str, Object], copies: Mapping[str, Object]
) -> Ready | Refused:
    """By the last look: ready to go, changed meanwhile, or without proof though nothing has changed."""
    source, copy = sources.get(candidate.item.key), copies.get(candidate.item.key)
    if copy is None:
        return candidate, ItemError(
            "the destination's listings contradict each other: one shows its copy, one does not"
        )
    if isinstance(proof, Exception):
        return candidate, proof if isinstance(proof, TransientError | StoppedError) else ItemError(str(proof))
    verified = evidence.confirmed(proof, source, copy)
    return Ready(candidate, verified) if verified else (candidate, PreconditionFailedError("it was written again"))


def _answers(context: Context, candidate: Candidate) -> bool:
    """Whether HEAD knows a copy that the walk saw listed and the last look did not: such a listing tells nothing."""
    try:
        return seen(context.destination.head(candidate.copy.key)) == seen(candidate.copy)
    except ItemError:
        return False


def _now(context: Context, chunk: Sequence[Candidate]) -> tuple[Mapping[str, Object], Mapping[str, Object]]:
    """Both places as they are listed now; HEAD is believed where it says what the walk has seen."""
    spec, keys, span = context.spec, [c.item.key for c in chunk], chunk[-1].position - chunk[0].position + 1
    sources = {c.item.key: seen(c.source) for c in chunk}
    copies = {c.item.key: seen(c.copy) for c in chunk}
    return (
        lookup(context.engine, context.source, spec.source.prefix, keys, span=span, expected=sources),
        lookup(context.engine, context.destination, spec.destination.prefix, keys, span=span, expected=copies),
    )


def _may_go(
    context: Context,
    candidate: Candidate,
    named: Collection[str],
    sources: Mapping[str, Object],
    copies: Mapping[str, Object],
) -> bool:
    key = candidate.item.key
    now = sources.get(key)
    if now is None:
        context.tally.add(counts.DELETED)
        return False
    grace = parse_duration(context.spec.cleanup.grace)
    reasons = (
        ("a row names it again", key in named),
        ("it was written again after it was copied", seen(now) != seen(candidate.source)),
        ("its copy is not there", key not in copies),
        ("its copy was written again", seen(copies.get(key)) != seen(candidate.copy)),
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


def _delete(context: Context, ready: Sequence[Ready], until: float, *, conditional: bool) -> list[Refused]:
    """Each candidate with why it stays, or None once it is gone."""
    objects = [one.verified.original for one in ready]
    remaining: dict[str, Exception] = dict(
        context.source.delete(objects, conditional=conditional, until=until) if ready else {}
    )
    if conditional and time.monotonic() < until:
        refused = [one for one in ready if isinstance(remaining.get(_key(one)), PreconditionFailedError)]
        told = context.engine.map(lambda one: _refused_though_unchanged(context, one), refused)
        remaining |= {_key(one): error for one, error in zip(refused, told, strict=True) if error is not None}
    return [(one.candidate, remaining.get(_key(one))) for one in ready]


def _key(one: Ready) -> str:
    return one.verified.original.key


def _refused_though_unchanged(context: Context, one: Ready) -> ItemError | None:
    """A server that refuses the very ETag that it lists would be asked for ever."""
    now = listed(context.source, context.spec.source.prefix, one.candidate.item.key)
    if seen(now) != seen(one.verified.original):
        return None
    return ItemError("the server refuses to delete it on the condition that it is as listed (If-Match)")


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
