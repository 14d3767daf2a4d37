"""What is looked at before anything is written; each message says what to do."""

from __future__ import annotations

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, UserError
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.s3.capabilities import Capabilities, probe
from bucketops_jobs.s3.places import SCRATCH, require_apart, require_listed


def require(context: Context) -> None:
    """Both places are there and are two, whatever their endpoints are called."""
    source, destination, notes = context.spec.source, context.spec.destination, context.notes
    require_listed(context.source, source.prefix)
    require_listed(context.destination, destination.prefix)
    require_listed(notes.store, notes.prefix)
    require_apart(context.source, source.prefix, context.destination, destination.prefix)


def capabilities(context: Context) -> Capabilities:
    """What the destination's server honours, and where the records lie, for the status."""
    try:
        found = probe(context.destination, SCRATCH)
    except DeniedError as error:
        raise UserError(
            Reason.ACCESS_DENIED, f"{error}: allow s3:PutObject and s3:DeleteObject on .bucketops/*"
        ) from error
    context.tally.facts |= found.facts() | {"records": f"s3://{context.destination.bucket}/{context.records.folder}"}
    return found
