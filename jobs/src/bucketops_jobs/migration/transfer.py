"""One object from the source to the destination, by the safest way that the server honours."""

from __future__ import annotations

from bucketops_jobs.migration import content
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.merge import Item
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.s3.store import ANYTHING, Expect


def transfer(context: Context, capabilities: Capabilities, item: Item, expect: Expect) -> str:
    """Copy and return the destination's ETag; PreconditionFailedError when either side is no longer as seen."""
    source = item.source
    if source is None:
        raise AssertionError("only an object that is there is copied")
    key = context.destination_key(item.key)
    if not context.same_server:
        return content.carry(context.source, source, context.destination, key, expect)
    if capabilities.copy_if_absent:
        return context.destination.copy(context.source.bucket, source, key, expect)
    if context.spec.guard == "Strict":
        return content.carry(context.source, source, context.destination, key, expect)
    return context.destination.copy(context.source.bucket, source, key, ANYTHING)


def mode(context: Context, capabilities: Capabilities) -> str:
    """The way that `transfer` takes, for status.capabilities."""
    if context.same_server and capabilities.copy_if_absent:
        return "conditional CopyObject"
    if context.spec.guard == "Strict" or not context.same_server:
        return "GET and conditional PUT"
    return "look, then CopyObject: an object written in between is overwritten"
