"""A chunk's objects from the source to the destination, each by the safest way that the server honours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from bucketops_jobs.errors import ItemError, StoppedError, TransientError, WorkerError
from bucketops_jobs.migration import content, parts
from bucketops_jobs.migration.ahead import Ahead
from bucketops_jobs.migration.content import Copied
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.s3.connection import WHOLE
from bucketops_jobs.s3.keyforms import forms
from bucketops_jobs.s3.store import ABSENT, ANYTHING, STORAGE_CLASS, Copy, Expect, Object

MOST_AT_ONCE = 5 << 30
"""Bytes of one CopyObject or PutObject: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Nobody can read such an object before it is restored."""
STANDARD = "STANDARD"
HELD = 3
"""Times that a small body is in memory at once, at most: as it came, as a whole, and as it is sent."""
Wanted = tuple[Object, str, Expect]
"""A source object, the destination's key, and what is expected there."""
Answer = Copied | ItemError | TransientError | StoppedError
"""PreconditionFailedError when either side is no longer as seen."""


class Way(StrEnum):
    """How an object gets there."""

    COPY = "CopyObject"
    COPY_PARTS = "UploadPartCopy"
    CARRY = "GET and PUT"
    CARRY_PARTS = "GET and UploadPart"


_IN_PARTS = frozenset({Way.COPY_PARTS, Way.CARRY_PARTS})


def transfer(context: Context, plan: Plan, wanted: Sequence[Wanted], ahead: Ahead) -> list[Answer]:
    """Copy all; the answers are in the same order, and each copy is shown as soon as it is there."""
    strict = context.spec.guard == "Strict"
    refused = {key: error for source, key, _ in wanted if (error := _renamed(context, plan, key, source))}
    everything, wanted = wanted, [one for one in wanted if one[1] not in refused]
    ways = {key: way(plan, source, strict=strict, expect=expect) for source, key, expect in wanted}
    for source, key, _ in _with_more_than_copies_keep(
        context, plan, [one for one in wanted if ways[one[1]] is Way.COPY]
    ):
        ways[key] = way(plan.model_copy(update={"server_copy": False}), source, strict=strict)
    flying = [one for one in wanted if ways[one[1]] is Way.COPY]
    given: dict[str, Answer] = {}
    for copy, answer in context.destination.copies(_copies(context, plan, flying)):
        given[copy.key] = _required(answer)
        if isinstance(answer, str):
            ahead.object()
            ahead.bytes(copy.source.size)
    others = [one for one in wanted if ways[one[1]] is not Way.COPY]
    answers = context.engine.map(lambda one: _moved(context, plan, ways[one[1]], one, ahead), others)
    given |= {key: answer for (_, key, _), answer in zip(others, answers, strict=True)}
    return [refused.get(key) or given[key] for _, key, _ in everything]


def _renamed(context: Context, plan: Plan, key: str, source: Object) -> ItemError | None:
    """A key that the server would keep under another name is not written at all: that name may be another key's."""
    found = sorted(forms(key, source.size) & set(plan.capabilities.renamed))
    if not found:
        return None
    return ItemError(
        f"{key!r} cannot be written to {context.destination.bucket}: its server keeps keys with {' and '.join(found)} "
        "under another name, or not at all; rename the object, or move to a server that takes any key"
    )


def _with_more_than_copies_keep(context: Context, plan: Plan, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Objects with a property that a copy by this server would lose: they pass through here and keep it."""
    lost = plan.capabilities.lost_by_copy
    if not (lost and plan.asks):
        return []
    sources = [source for source, _, _ in wanted]
    answers = context.engine.map(lambda source: content.loses(context.source, source.key, lost, source.etag), sources)
    return [one for one, answer in zip(wanted, answers, strict=True) if answer is not False]


def way(plan: Plan, source: Object, *, strict: bool, expect: Expect = ABSENT) -> Way:
    """The server copies where it does so safely, in parts where one request cannot or would hide what was copied.

    The copy of an object that was uploaded in parts has another ETag, unless it is made of the same parts.
    """
    can, large, in_parts = plan.capabilities, source.size > WHOLE, "-" in source.etag
    safe_parts = can.multipart and (can.completion_holds(expect) is not None or not strict)
    if plan.server_copy and can.part_copy and safe_parts and large and (in_parts or source.size > MOST_AT_ONCE):
        return Way.COPY_PARTS
    if copies(plan, strict=strict, expect=expect) and source.size <= MOST_AT_ONCE:
        return Way.COPY
    return Way.CARRY_PARTS if large and safe_parts else Way.CARRY


def copies(plan: Plan, *, strict: bool, expect: Expect = ABSENT) -> bool:
    """Whether the server copies small objects by itself."""
    return plan.server_copy and (plan.capabilities.copy_holds(expect) is not None or not strict)


def _copies(context: Context, plan: Plan, wanted: Sequence[Wanted]) -> Iterator[Copy]:
    for source, key, expect in wanted:
        guarded = plan.capabilities.copy_holds(expect) or ANYTHING
        yield Copy(context.source.bucket, source, key, guarded, storage_class(context, plan, source))


def storage_class(context: Context, plan: Plan, source: Object) -> str | None:
    """The class to ask for: the original's, if the user names none and the destination has it."""
    if context.spec.destination.storage_class or source.storage_class == STANDARD or source.storage_class in ARCHIVED:
        return None
    return source.storage_class if source.storage_class in plan.classes else None


def _moved(context: Context, plan: Plan, how: Way, wanted: Wanted, ahead: Ahead) -> Copied:
    made = _one(context, plan, how, wanted, ahead)
    ahead.object()
    if how not in _IN_PARTS:
        ahead.bytes(wanted[0].size)
    return made


def _one(context: Context, plan: Plan, how: Way, wanted: Wanted, ahead: Ahead) -> Copied:
    can, (source, key, expect) = plan.capabilities, wanted
    kept = storage_class(context, plan, source)
    extra = {STORAGE_CLASS: kept} if kept else {}
    if how in _IN_PARTS:
        guarded = can.completion_holds(expect) or ANYTHING
        job = parts.Job(context, source, key, guarded, how is Way.COPY_PARTS, ahead, can.lost, extra)
        return parts.copy(job)
    if source.size > MOST_AT_ONCE:
        remedy = "choose guard: Check, or copy" if can.multipart else "copy"
        raise ItemError(
            f"{source.key!r} has more than 5 GiB, and the destination's server takes no multipart uploads that spare "
            f"what is there: {remedy} it yourself"
        )
    held = can.put_holds(expect)
    if held is None and context.spec.guard == "Strict":
        raise ItemError(
            f"{key!r} holds other content, and the destination's server does not take the right If-Match of a PUT, so "
            "nothing can be replaced safely: choose guard: Check, or delete what stands there"
        )
    with context.room.taken(HELD * min(source.size, WHOLE)):
        return content.carry(
            context.source, source, context.destination, key, held or ANYTHING, lost=can.lost, extra=extra
        )


def _required(answer: str | WorkerError) -> Answer:
    if isinstance(answer, str):
        return Copied(answer)
    if isinstance(answer, ItemError | TransientError | StoppedError):
        return answer
    raise answer


def mode(plan: Plan, *, strict: bool) -> str:
    """The way that small objects take, for status.capabilities."""
    can = plan.capabilities
    if plan.server_copy and can.copy_if_absent:
        return "conditional CopyObject"
    if plan.server_copy and not strict:
        return "look, then CopyObject: an object written in between is overwritten"
    way = (
        "GET and conditional PUT" if can.put_if_absent else "look, then GET and PUT: what is written in between is lost"
    )
    return way if plan.server_copy else f"{way}: {plan.why_streamed}"


def large_mode(plan: Plan, *, strict: bool) -> str:
    """The way of objects above 5 GiB, for status.capabilities."""
    can = plan.capabilities
    if not (can.complete_if_absent or (can.multipart and not strict)):
        return "objects above 5 GiB cannot be moved: no multipart upload spares what is there"
    guard = "conditional completion" if can.complete_if_absent else "look before completion"
    how = Way.COPY_PARTS if plan.server_copy and can.part_copy else Way.CARRY_PARTS
    return f"{how} with {guard}"
