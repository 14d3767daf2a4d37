"""Plan: the same walk and the same decisions as the copy, and nothing is written."""

from __future__ import annotations

from bucketops_api import counts
from bucketops_jobs.migration import plans
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import count_settled, decided
from bucketops_jobs.migration.journal import Reader
from bucketops_jobs.migration.walk import scoped, walk


def run(context: Context) -> None:
    """Count what each object and row would become."""
    plan = plans.of(context)
    within = plan.ranges()[context.shard]
    histories = Reader(context.records).histories(plan.epoch, context.shard, within)
    for item in scoped(context, walk(context, within, histories)):
        decision = decided(context, item)
        if decision is None:
            context.tally.add(counts.PENDING)
            continue
        count_settled(context, item, decision)
        if decision.rewrite:
            context.tally.add(counts.ROWS + decision.rewrite, len(item.legacy))
