"""How a sweep is cut into shards: one pod looks and writes it down, all others read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bucketops_jobs.errors import PreconditionFailedError, StoppedError, TransientError
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.s3 import ranges
from bucketops_jobs.s3.store import ABSENT
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range, Sampler
from bucketops_jobs.shards import ranges as cut

WAIT_SECONDS = 600
MOST = 2**53
"""Pictures, of which a status can tell."""
_LOOK_SECONDS = 0.5
_FOLDER = "plans/"


@dataclass(frozen=True)
class Plan:
    """The last key of each shard but the last, and how many pictures there were."""

    bounds: tuple[str, ...]
    total: int

    def within(self, shard: int) -> Range:
        """A shard's keys. Fewer pictures than shards leave the last of these without any."""
        found = cut(self.bounds)
        return found[shard] if shard < len(found) else Range(after=self.bounds[-1] if self.bounds else "", until="")


def agreed(context: Context) -> Plan:
    """The plan of this run: that of whoever wrote it first."""
    name = f"{_FOLDER}{context.run.run}.json"
    for _ in range(int(WAIT_SECONDS / _LOOK_SECONDS)):
        if (found := _read(context, name)) is not None:
            return found
        if context.shard == 0:
            return _written(context, name)
        if context.engine.stop.wait(_LOOK_SECONDS):
            raise StoppedError("told to stop before the keys were cut into shards")
    raise TransientError(f"shard 0 has not cut the keys into shards within {WAIT_SECONDS} s")


def _written(context: Context, name: str) -> Plan:
    sampler = Sampler([])
    for key, _ in listing(context.source, context.spec.source.prefix, Range(), streams=ranges.MOST_STREAMS):
        context.engine.require_going()
        if context.matches(key):
            sampler.add(key)
    plan = Plan(sampler.bounds(context.run.shards), sampler.seen)
    old = list(context.records.keys(_FOLDER))
    body = json.dumps({"bounds": plan.bounds, "total": plan.total}).encode()
    try:
        context.destination.put(context.records.folder + name, body, {"content-type": "application/json"}, ABSENT)
    except PreconditionFailedError:
        return _read(context, name) or plan
    context.destination.remove(old)
    return plan


def _read(context: Context, name: str) -> Plan | None:
    return parsed(context.records.note(name))


def parsed(found: Mapping[str, Any]) -> Plan | None:
    """The plan that a record holds; None where it holds none: others may write there."""
    bounds, total = found.get("bounds"), found.get("total")
    if not isinstance(bounds, list) or not all(isinstance(bound, str) for bound in bounds):
        return None
    if bounds != sorted(bounds, key=str.encode) or type(total) is not int or not 0 <= total <= MOST:
        return None
    return Plan(tuple(bounds), total)
