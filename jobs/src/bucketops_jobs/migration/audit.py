"""Look at everything afresh: listings, rows, journal. A suspect is looked at again before it is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bucketops_jobs.migration import claim, dangled, leftover, parts, plans
from bucketops_jobs.migration.census import count, dangling
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import count_given_up, count_settled, decided
from bucketops_jobs.migration.journal import Reader
from bucketops_jobs.migration.merge import Item, Outcome, Row, deletable, gave_up
from bucketops_jobs.migration.walk import walk
from bucketops_jobs.s3.forward import Forward

AT_ONCE = 10_000
"""Suspects that are looked at again together: a page of a listing answers for all that it spans."""
DANGLING = "audit/dangling"
UNFINISHED = "audit/unfinished"
UNDELETED = "audit/undeleted"


@dataclass(frozen=True)
class Suspect:
    """Something that should not be."""

    item: Item
    lost: tuple[Row, ...] = ()
    """Rows that name a missing object."""


def run(context: Context) -> None:
    """Audit one shard; the counts and the names of what is wrong are the result."""
    plan = plans.of(context)
    within = plan.ranges()[context.shard]
    histories = Reader(context.records).histories(plan.epoch, context.shard, within)
    known = dangled.Known(context.records, plan.dangling)
    if context.shard == 0:
        leftover.count(context)  # before the suspects, whose samples are then the first
    suspects = _suspects(context, walk(context, within, histories), known)
    for chunk in context.engine.chunks(suspects, AT_ONCE):
        for suspect, item in zip(chunk, _afresh(context, [suspect.item for suspect in chunk]), strict=True):
            _look_again(context, suspect, item)
    if context.shard == 0:
        parts.abort_all(context)
        claim.release(context)


def _suspects(context: Context, items: Iterable[Item], known: dangled.Known) -> Iterator[Suspect]:
    for item in items:
        count(context, item)
        lost = [row for row in dangling(context, item) if not known.has(item.key, row.id)]
        finished = _finished(context, item)  # counts it, whatever else is wrong with it
        if lost or not finished:
            yield Suspect(item, tuple(lost))


def _finished(context: Context, item: Item) -> bool:
    """Count what became of an item; whether that is final."""
    if not context.concerns(item):
        return True
    decision = decided(context, item)
    if decision is None:
        return False
    if gave_up(item, decision):
        count_given_up(context, item, decision)
        return True
    if not decision.works and _undeleted(context, item) and item.entry is not None and item.entry.undeletable:
        decision = replace(decision, outcome=Outcome.FAILED, message=item.entry.undeletable)
        count_settled(context, item, decision)
        return True
    count_settled(context, item, decision)
    return not decision.works and not _undeleted(context, item)


def _undeleted(context: Context, item: Item) -> bool:
    return context.spec.cleanup.policy == "Delete" and deletable(item) is None


def _look_again(context: Context, suspect: Suspect, item: Item) -> None:
    """Name what is still wrong with a suspect; `item`: it, as it is by now."""
    lost = [row for row in dangling(context, item) if row in suspect.lost]
    for row in lost:
        place = context.source_key(item.key) if row.legacy else context.destination_key(item.key)
        _name(context, item.key, DANGLING, f"row {row.pk} names {place}, which does not exist")
    if lost or not context.concerns(item):
        return
    decision = decided(context, item)
    if decision is None or (decision.works and not gave_up(item, decision)):
        _name(context, item.key, UNFINISHED, _unfinished(item, "production" if context.goes_back else "legacy"))
    elif _undeleted(context, item):
        kind = "production" if context.goes_back else "legacy"
        _name(context, item.key, UNDELETED, f"the {kind} object was moved and is still there")


def _unfinished(item: Item, kind: str) -> str:
    rows = ", ".join(row.pk for row in item.legacy)
    if rows:
        return f"row {rows} names the {kind} object: the application still writes {kind} paths"
    return (
        f"a {kind} object that was not moved: the application still writes there, or no listing showed it before "
        "(MinIO shows nothing below a key that is an object itself): set a new trigger"
    )


def _afresh(context: Context, items: Sequence[Item]) -> list[Item]:
    """Return items, in key order, as they are now; their rows are read last.

    Whoever deletes a row and then its object meanwhile has left no row without one.
    """
    source = Forward(context.source, context.spec.source.prefix)
    destination = Forward(context.destination, context.spec.destination.prefix)
    places = [(source.find(item.key), destination.find(item.key)) for item in items]
    rows = (row for item in items for row in item.rows)
    current = context.rows.current(rows) if context.rows is not None else {}
    return [
        replace(
            item,
            source=legacy,
            destination=production,
            rows=tuple(row for row in item.rows if current.get(row.id) == row.value),
        )
        for item, (legacy, production) in zip(items, places, strict=True)
    ]


def _name(context: Context, key: str, what: str, message: str) -> None:
    context.tally.add(what)
    if context.report is not None:
        context.report.add(Item(key), what.removeprefix("audit/"), {}, message)
    context.tally.sample(key, what.removeprefix("audit/"), message, first=True)
