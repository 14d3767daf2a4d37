"""One pod, before anything is written: refuse what cannot go well, count the world, cut it into shards."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from bucketops_api.contract import Artifact
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import census, checks, claim
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import LAST_LEGACY_WRITE
from bucketops_jobs.migration.history import History
from bucketops_jobs.migration.journal import Range, Reader
from bucketops_jobs.migration.plans import Plan, Sampler, shard_count
from bucketops_jobs.migration.transfer import mode
from bucketops_jobs.migration.walk import walk
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.capabilities import Capabilities

TOTAL = "total"
MOST_DANGLING = 100_000


def run(context: Context) -> tuple[Artifact, str]:
    """The plan that later phases work by, and the warnings."""
    capabilities = checks.stores(context)
    checks.rows(context)
    _require_a_journal(context, Reader(context.records))
    if context.spec.mode == "Apply":
        claim.take(context)
    reader = Reader(context.records)  # after the claim: nobody else writes it any more
    epoch = reader.next_epoch(back=context.goes_back)
    sampler, dangling = _survey(context, reader.histories(epoch, 0, Range()))
    where = f"s3://{context.records.store.bucket}/{context.records.folder}"
    context.tally.facts = capabilities.facts() | {"copy": mode(context, capabilities), "records": where}
    newest = context.tally.marks.get(LAST_LEGACY_WRITE)
    plan = _plan(context, epoch, capabilities, sampler, dangling)
    return plan, "; ".join(checks.warnings(context, newest))


def _require_a_journal(context: Context, reader: Reader) -> None:
    if context.goes_back and reader.empty:
        legacy, production = context.spec.destination, context.spec.source
        raise UserError(
            Reason.INVALID_SPEC,
            f"{context.run.rollback_of} has moved nothing from {legacy.bucket}/{legacy.prefix} to "
            f"{production.bucket}/{production.prefix}: {context.records.store.bucket}/{context.records.folder} "
            "holds no journal; its status.records names the place",
        )


def _survey(context: Context, histories: Iterable[tuple[str, History]]) -> tuple[Sampler, list[str]]:
    """One walk over everything: the world before, the boundaries of the shards, rows that dangle already."""
    sampler, dangling = Sampler([]), list[str]()
    cuts = context.rows.boundaries() if context.rows is not None else []
    for item in walk(context, Range(), histories, streams=ranges.MOST_STREAMS, cuts=cuts):
        census.count(context, item)
        dangling += [f"{row.id} {item.key}" for row in census.dangling(context, item)][: MOST_DANGLING - len(dangling)]
        if context.concerns(item):
            sampler.add(item.key)
            context.tally.add(TOTAL, int(item.counted))
            if item.source is not None:
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
