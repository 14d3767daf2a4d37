"""The preflight's plan: how the keys are cut into shards, and what was wrong before we began."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from bucketops_api.reasons import Reason
from bucketops_jobs import shards
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.dangled import Part
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.shards import Range


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
    asks: bool = True
    """Whether each object is asked for its properties before a server copies it that loses some: properties.py."""
    classes: tuple[str, ...] = ()
    """Storage classes of originals that the destination takes."""
    dangling: tuple[Part, ...] = ()
    """Rows that named a missing object before we began."""

    def ranges(self) -> list[Range]:
        """One range of keys per shard; together they cover every key once."""
        return shards.ranges(self.bounds)


def of(context: Context) -> Plan:
    """The plan of a run, as the preflight wrote it; UserError when it was tampered with, or is another version's."""
    if context.run.plan is None:
        raise UserError(Reason.CONTRACT_MISMATCH, f"phase {context.run.phase} needs the preflight's plan")
    try:
        return Plan.model_validate(context.records.read_json(context.run.plan))
    except ValidationError as error:
        raise UserError(
            Reason.CONTRACT_MISMATCH, "another version of bucketops wrote the preflight's plan: set a new trigger"
        ) from error
