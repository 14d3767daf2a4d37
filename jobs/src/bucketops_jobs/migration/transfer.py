"""A chunk's objects from the source to the destination, by the safest way that the server honours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bucketops_jobs.errors import ItemError, StoppedError, TransientError, WorkerError
from bucketops_jobs.migration import content
from bucketops_jobs.migration.context import Context
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.s3.store import ANYTHING, Copy, Expect, Object

Wanted = tuple[Object, str, Expect]
"""A source object, the destination's key, and what is expected there."""
Answer = str | ItemError | TransientError | StoppedError
"""The destination's ETag; PreconditionFailedError when either side is no longer as seen."""


def transfer(context: Context, capabilities: Capabilities, wanted: Sequence[Wanted]) -> list[Answer]:
    """Copy all; the answers are in the same order."""
    if not _on_the_server(context, capabilities):
        answers = context.engine.map(lambda one: _carry(context, *one), wanted)
        return [_required(answer) for answer in answers]
    given = {
        copy.key: _required(answer)
        for copy, answer in context.destination.copies(_copies(context, capabilities, wanted))
    }
    return [given[key] for _, key, _ in wanted]


def _on_the_server(context: Context, capabilities: Capabilities) -> bool:
    return context.same_server and (capabilities.copy_if_absent or context.spec.guard != "Strict")


def _copies(context: Context, capabilities: Capabilities, wanted: Iterable[Wanted]) -> Iterator[Copy]:
    for source, key, expect in wanted:
        yield Copy(context.source.bucket, source, key, expect if capabilities.copy_if_absent else ANYTHING)


def _carry(context: Context, source: Object, key: str, expect: Expect) -> str:
    return content.carry(context.source, source, context.destination, key, expect)


def _required(answer: str | WorkerError) -> Answer:
    if isinstance(answer, str | ItemError | TransientError | StoppedError):
        return answer
    raise answer


def mode(context: Context, capabilities: Capabilities) -> str:
    """The way that `transfer` takes, for status.capabilities."""
    if context.same_server and capabilities.copy_if_absent:
        return "conditional CopyObject"
    if context.spec.guard == "Strict" or not context.same_server:
        return "GET and conditional PUT"
    return "look, then CopyObject: an object written in between is overwritten"
