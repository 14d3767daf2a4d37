"""Copy and rewrite one shard. A sweep is the same walk again: it repairs whatever came in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bucketops_api import counts
from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError
from bucketops_jobs.migration import plans, twice
from bucketops_jobs.migration.chunk import NOT_KEPT, Chunks, Work
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.lookup import listed, seen
from bucketops_jobs.migration.merge import Decision, Item, Outcome, RowOutcome, decide, settled_rows
from bucketops_jobs.migration.walk import scoped, walk

LAST_LEGACY_WRITE = "lastLegacyWrite"


def run(context: Context) -> None:
    """Walk the shard; decide for each key; do what is to be done in chunks."""
    plan = plans.of(context)
    within = plan.ranges()[context.shard]
    reader = Reader(context.records)
    journal = Writer(context.records, plan.epoch, context.shard, reader.next_segment(plan.epoch, context.shard))
    items = scoped(context, walk(context, within, reader.histories(plan.epoch, context.shard, within)))
    chunks = Chunks(context, plan)
    size = context.spec.database.batch_size if context.spec.database else 1000
    context.engine.overlapped(
        lambda chunk: chunks.process(*chunk),
        ((journal.chunk(), works) for works in context.engine.chunks(_works(context, items), size)),
    )


def _works(context: Context, items: Iterable[Item]) -> Iterator[Work]:
    for position, item in enumerate(items):
        if item.source is not None:
            context.tally.mark(LAST_LEGACY_WRITE, item.source.modified)
        decision = decided(context, item)
        if decision is None:
            context.tally.add(counts.PENDING)
        elif decision.works:
            yield Work(item, decision, position)
        else:
            count_settled(context, item, decision)


def decided(context: Context, item: Item) -> Decision | None:
    """The decision; None when an object changed while it was compared: the next walk decides."""
    decision = _decided(context, item)
    if decision is None or decision.rewrite is None or context.rows is None:
        return decision
    why = next(filter(None, (twice.why_not(context.rows, row, item.key) for row in item.legacy)), "")
    failed = Decision(decision.outcome and Outcome.FAILED, row_outcome=RowOutcome.FAILED, message=why)
    return failed if why else decision


def _decided(context: Context, item: Item) -> Decision | None:
    try:
        return decide(item, context.policy, context.same)
    except (NotFoundError, PreconditionFailedError) as error:
        if not _unchanged(context, item):
            return None
        message = f"{error}: yet it is listed unchanged, so the server refuses what it lists itself"
    except ItemError as error:  # it cannot be read, so nobody can tell whether both are equal
        message = str(error)
    return Decision(Outcome.FAILED, row_outcome=RowOutcome.FAILED if item.legacy else None, message=message)


def _unchanged(context: Context, item: Item) -> bool:
    """Whether both places are still listed as the walk saw them."""
    source = listed(context.source, context.spec.source.prefix, item.key)
    copy = listed(context.destination, context.spec.destination.prefix, item.key)
    return (seen(source), seen(copy)) == (seen(item.source), seen(item.destination))


def count_given_up(context: Context, item: Item, decision: Decision) -> None:
    """Count an item whose copy or rows were refused, as the journal says."""
    refused = decision.copy is not None
    message = item.entry.message if item.entry else ""
    known = replace(
        decision,
        outcome=Outcome.FAILED if refused else decision.outcome,
        row_outcome=RowOutcome.FAILED if item.legacy else None,
        message=message,
    )
    count_settled(context, item, known)


def count_settled(context: Context, item: Item, decision: Decision) -> None:
    """Count an item that needs nothing (any more)."""
    tally = context.tally
    if decision.outcome:
        tally.add(counts.OBJECTS + decision.outcome)
        tally.add(counts.DONE)
        tally.add(counts.BYTES, item.source.size if item.source else 0)
        orphan = decision.outcome in {Outcome.MOVED, Outcome.ALREADY} and not item.rows
        tally.add(counts.ORPHANS, int(orphan and context.rows is not None))
    rows = settled_rows(item)
    if decision.row_outcome:
        rows |= {row.id: decision.row_outcome for row in item.legacy}
    for outcome in rows.values():
        tally.add(counts.ROWS + outcome)
    if context.report is not None:
        context.report.add(item, decision.outcome, rows, decision.message)
    if item.entry is not None and item.entry.not_kept and decision.copy is None:
        tally.add(counts.NOT_KEPT)
        tally.sample(item.key, NOT_KEPT, item.entry.not_kept, last=True)
    if decision.message:
        tally.sample(item.key, decision.outcome or decision.row_outcome or "", decision.message)
