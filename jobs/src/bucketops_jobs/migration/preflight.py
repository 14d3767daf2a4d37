"""One pod, before anything is written: refuse what cannot go well, count the world, cut it into shards."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bucketops_api.contract import Artifact
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import census, checks, claim, dangled, fit, properties, rights, twice
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.copy import LAST_LEGACY_WRITE
from bucketops_jobs.migration.history import History
from bucketops_jobs.migration.journal import Reader
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.transfer import large_mode, mode
from bucketops_jobs.migration.walk import walk
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.capabilities import classes_taken
from bucketops_jobs.s3.places import SCRATCH
from bucketops_jobs.shards import Range, Sampler, shard_count
from bucketops_jobs.spool import Spool

TOTAL = "total"


def run(context: Context) -> tuple[Artifact, str]:
    """The plan that later phases work by, and the warnings."""
    begun = datetime.now(UTC)
    found = checks.stores(context)
    checks.rows(context)
    _require_a_journal(context, Reader(context.records))
    if context.spec.mode == "Apply":
        claim.take(context)
    reader = Reader(context.records)  # after the claim: nobody else writes it any more
    epoch = reader.next_epoch(back=context.goes_back)
    seen = _survey(context, reader.histories(epoch, 0, Range()))
    _require_fit(context, found, seen)
    name = f"plans/{epoch}-{secrets.token_hex(4)}"  # never the name of a plan that somebody works by
    plan = _plan(context, epoch, found, seen, dangled.write(context.records, f"{name}-dangling", seen.dangling))
    context.tally.facts = _facts(context, plan)
    artifact = context.records.write_json(f"{name}.json", plan.model_dump(mode="json"))
    newest = context.tally.marks.get(LAST_LEGACY_WRITE)
    context.tally.mark(LAST_LEGACY_WRITE, begun)  # what was written before may be younger than it looks
    losses = properties.warnings(context, plan, found, seen.properties)
    doubts = filter(None, [reader.words()])
    return artifact, "; ".join([*doubts, *losses, *checks.warnings(context, newest, seen.fit)])


def _require_fit(context: Context, found: checks.Found, seen: Survey) -> None:
    """Nothing is claimed by who is refused."""
    try:
        if context.rows is not None:
            fit.require(context, context.rows, seen.fit)
            seen.doubles.require_none()
        if found.missing.parts and seen.properties.too_large:
            rights.demand(found.missing.parts)
    except UserError:
        claim.release(context)
        raise


def _require_a_journal(context: Context, reader: Reader) -> None:
    if context.goes_back and reader.empty:
        legacy, production, told = context.spec.destination, context.spec.source, reader.words()
        raise UserError(
            Reason.INVALID_SPEC,
            f"{context.run.rollback_of} has moved nothing from {legacy.bucket}/{legacy.prefix} to "
            f"{production.bucket}/{production.prefix}: {context.records.store.bucket}/{context.records.folder} "
            f"holds no journal of it; its status.records names the place{told and f'; {told}'}",
        )


def _facts(context: Context, plan: Plan) -> dict[str, str]:
    strict = context.spec.guard == "Strict"
    return plan.capabilities.facts() | {
        "copy": mode(plan, strict=strict),
        "largeObjects": large_mode(plan, strict=strict),
        "records": f"s3://{context.records.store.bucket}/{context.records.folder}",
        "shards": str(len(plan.bounds) + 1),
    }


@dataclass
class Survey:
    """What one walk over everything has shown."""

    sampler: Sampler = field(default_factory=lambda: Sampler([]))
    dangling: Spool = field(default_factory=Spool)
    """(relative key, row id); more than fit in memory wait in a file."""
    fit: fit.Fit = field(default_factory=fit.Fit)
    properties: properties.Seen = field(default_factory=properties.Seen)
    doubles: twice.Doubles = field(default_factory=lambda: twice.Doubles(None))


def _survey(context: Context, histories: Iterable[tuple[str, History]]) -> Survey:
    """One walk over everything: the world before, the boundaries of the shards, rows that dangle already."""
    survey = Survey(doubles=twice.Doubles(context.rows))
    sampler, dangling = survey.sampler, survey.dangling
    cuts = context.rows.boundaries() if context.rows is not None else []
    for item in walk(context, Range(), histories, streams=ranges.MOST_STREAMS, cuts=cuts):
        census.count(context, item)
        survey.fit.add(item, concerns=context.concerns(item))
        survey.doubles.add(item, concerns=context.concerns(item))
        for row in census.dangling(context, item):
            dangling.add((item.key, row.id))
        if context.concerns(item):
            sampler.add(item.key)
            context.tally.add(TOTAL, int(item.counted))
            if item.source is not None:
                context.tally.mark(LAST_LEGACY_WRITE, item.source.modified)
                survey.properties.add(item.key, item.source, context.spec.destination.prefix)
    return survey


def _plan(context: Context, epoch: str, found: checks.Found, seen: Survey, dangling: tuple[dangled.Part, ...]) -> Plan:
    worker, sampler = context.spec.worker, seen.sampler
    named = context.spec.destination.storage_class
    return Plan(
        epoch=epoch,
        bounds=sampler.bounds(shard_count(worker.shards, worker.parallelism, sampler.seen)),
        capabilities=found.capabilities,
        server_copy=not found.why_streamed,
        why_streamed=found.why_streamed,
        asks=not found.why_streamed and properties.asks(context, found.capabilities, seen.properties.sample.keys),
        classes=() if named else classes_taken(context.destination, SCRATCH, seen.properties.copyable_classes),
        dangling=dangling,
    )
