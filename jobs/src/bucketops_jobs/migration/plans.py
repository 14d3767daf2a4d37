"""The preflight's plan: how the keys are cut into shards, and what was wrong before we began."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.journal import Range
from bucketops_jobs.s3.capabilities import Capabilities

SHARD_KEYS = 250_000
"""Keys of one shard: its rows fit a worker's memory."""
MOST_SHARDS = 10_000
_SAMPLES = 20_000


class Plan(BaseModel):
    """What later phases work by; an artifact in the records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epoch: str
    bounds: tuple[str, ...]
    """The last key of each shard but the last."""
    capabilities: Capabilities
    server_copy: bool = True
    """Whether the destination's server can read the source by itself …"""
    why_streamed: str = ""
    """… and why it cannot."""
    classes: tuple[str, ...] = ()
    """Storage classes of originals that the destination takes."""
    dangling: tuple[str, ...]
    """Rows that named a missing object before we began, as `<row id> <relative key>`."""

    def ranges(self) -> list[Range]:
        """One range of keys per shard; together they cover every key once."""
        edges = ["", *self.bounds]
        return [Range(after, until) for after, until in itertools.zip_longest(edges, self.bounds)]


def of(context: Context) -> Plan:
    """The plan of a run, as the preflight wrote it; UserError when it was tampered with."""
    if context.run.plan is None:
        raise UserError(Reason.CONTRACT_MISMATCH, f"phase {context.run.phase} needs the preflight's plan")
    return Plan.model_validate(context.records.read_json(context.run.plan))


@dataclass
class Sampler:
    """Every n-th key of a stream of unknown length, in bounded memory: boundaries of even shards."""

    keys: list[str]
    stride: int = 1
    seen: int = 0

    def add(self, key: str) -> None:
        """Take notice of the next key, in order."""
        if self.seen % self.stride == 0:
            self.keys.append(key)
        self.seen += 1
        if len(self.keys) >= _SAMPLES:
            self.keys = self.keys[::2]
            self.stride *= 2

    def bounds(self, shards: int) -> tuple[str, ...]:
        """The last key of each of at most `shards` ranges but the last."""
        count = len(self.keys)
        picked = (self.keys[count * n // shards] for n in range(1, shards)) if count else ()
        return tuple(key for key in dict.fromkeys(picked) if key)


def shard_count(wanted: int | str, parallelism: int, keys: int) -> int:
    """`auto`: one per pod, more where a shard would hold more than 250,000 keys, and never an empty one."""
    count = wanted if isinstance(wanted, int) else max(parallelism, -(-keys // SHARD_KEYS))
    return max(1, min(count, max(keys, 1), MOST_SHARDS))
