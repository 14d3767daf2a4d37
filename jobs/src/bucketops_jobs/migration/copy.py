"""Copy and rewrite one shard. A sweep is the same walk again: it repairs whatever came in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bucketops_api import counts
from bucketops_jobs.migration import plans
from bucketops_jobs.migration.chunk import Chunks, Work
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.merge import Decision, Item, decide, settled_rows
from bucketops_jobs.migration.walk import scoped, walk

LAST_LEGACY_WRITE = "lastLegacyWrite"


def run(context: Context) -> None:
    """Walk the shard; decide for each key; do what is to be done in chunks."""
    plan = plans.of(context)
    within = plan.ranges()[context.shard]
    reader = Reader(context.records)
    journal = Writer(context.records, plan.epoch, context.shard, reader.next_segment(plan.epoch, context.shard))
    items = scoped(context, walk(context, within, reader.entries(plan.epoch, context.shard, within)))
    chunks = Chunks(context, plan.capabilities, journal)
    size = context.spec.database.batch_size if context.spec.database else 1000
    for works in context.engine.chunks(_works(context, items), size):
        chunks.process(works)


def _works(context: Context, items: Iterable[Item]) -> Iterator[Work]:
    for position, item in enumerate(items):
        decision = decide(item, context.policy, context.same)
        if item.source is not None:
            context.tally.mark(LAST_LEGACY_WRITE, item.source.modified)
        if decision.works:
            yield Work(item, decision, position)
        else:
            count_settled(context, item, decision)


def count_settled(context: Context, item: Item, decision: Decision) -> None:
    """Count an item that needs nothing (any more)."""
    tally = context.tally
    if decision.outcome:
        tally.add(counts.OBJECTS + decision.outcome)
        tally.add(counts.DONE)
        tally.add(counts.BYTES, item.source.size if item.source else 0)
    for outcome in settled_rows(item).values():
        tally.add(counts.ROWS + outcome)
    if decision.row_outcome:
        tally.add(counts.ROWS + decision.row_outcome, len(item.legacy))
    if decision.message:
        tally.sample(item.key, decision.outcome or decision.row_outcome or "", decision.message)
