"""One pod, before anything is written: refuse what cannot go well, count the world, cut it into shards."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from bucketops_api.contract import Artifact
from bucketops_jobs.migration import census, checks, claim
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import LAST_LEGACY_WRITE
from bucketops_jobs.migration.journal import Reader
from bucketops_jobs.migration.merge import Entry
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.transfer import mode
from bucketops_jobs.migration.walk import walk
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.shards import Range, Sampler, shard_count

TOTAL = "total"
MOST_DANGLING = 100_000


def run(context: Context) -> tuple[Artifact, str]:
    """The plan that later phases work by, and the warnings."""
    capabilities = checks.stores(context)
    checks.rows(context)
    if context.spec.mode == "Apply":
        claim.take(context)
    reader = Reader(context.records)
    epoch = reader.next_epoch()
    sampler, dangling = _survey(context, reader.entries(epoch, 0, Range()))
    where = f"s3://{context.records.store.bucket}/{context.records.folder}"
    context.tally.facts = capabilities.facts() | {"copy": mode(context, capabilities), "records": where}
    newest = context.tally.marks.get(LAST_LEGACY_WRITE)
    plan = _plan(context, epoch, capabilities, sampler, dangling)
    return plan, "; ".join(checks.warnings(context, newest))


def _survey(context: Context, entries: Iterable[tuple[str, Entry]]) -> tuple[Sampler, list[str]]:
    """One walk over everything: the world before, the boundaries of the shards, rows that dangle already."""
    sampler, dangling = Sampler([]), list[str]()
    for item in walk(context, Range(), entries, streams=ranges.MOST_STREAMS):
        census.count(context, item)
        dangling += [f"{row.id} {item.key}" for row in census.dangling(context, item)][: MOST_DANGLING - len(dangling)]
        if context.in_scope(item.key) and (item.source or item.legacy or item.entry):
            sampler.add(item.key)
            context.tally.add(TOTAL, int(item.counted))
        if item.source is not None and context.in_scope(item.key):
            context.tally.mark(LAST_LEGACY_WRITE, item.source.modified)
    return sampler, dangling


def _plan(context: Context, epoch: str, capabilities: Capabilities, sampler: Sampler, dangling: list[str]) -> Artifact:
    worker = context.spec.worker
    bounds = sampler.bounds(shard_count(worker.shards, worker.parallelism, sampler.seen))
    context.tally.facts["shards"] = str(len(bounds) + 1)
    plan = Plan(
        epoch=epoch,
        bounds=bounds,
        copy_if_absent=capabilities.copy_if_absent,
        put_if_absent=capabilities.put_if_absent,
        delete_if_match=capabilities.delete_if_match,
        dangling=tuple(dangling),
    )
    name = f"plans/{epoch}-{secrets.token_hex(4)}.json"  # never the name of a plan that somebody works by
    return context.records.write_json(name, plan.model_dump(mode="json"))
