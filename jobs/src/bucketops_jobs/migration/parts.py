"""Large objects in parts, copied by the server or streamed through a bounded piece of memory.

An upload under way is known in the records: the next attempt goes on with it, and what nobody finishes is aborted by
the audit. No part stays behind.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

from bucketops_jobs.errors import DeniedError, ItemError, NotFoundError, NotSupportedError
from bucketops_jobs.migration import odd_headers
from bucketops_jobs.migration.ahead import Ahead
from bucketops_jobs.migration.content import BLOCK, Copied, denied, kept
from bucketops_jobs.migration.context import Context
from bucketops_jobs.s3.integrity import Judgement
from bucketops_jobs.s3.multipart import LARGEST_PART, Upload, original_part_size, part_size, spans, whole_etag
from bucketops_jobs.s3.store import Expect, Object

UPLOADS = "uploads/"
AT_ONCE = 4
"""Parts of one object that are under way at once."""
COPIED_PART = 128 << 20
STREAMED_PART = 8 << 20
IN_MEMORY = 16 << 20
"""Bytes; a part that is larger, because the original's are or because 10,000 must do, passes through a file."""
Span = tuple[int, int]
"""First byte, number of bytes."""


@dataclass(frozen=True)
class Job:
    """One object that is to be copied in parts."""

    context: Context
    source: Object
    key: str
    expect: Expect
    on_server: bool
    """Whether the server copies the parts, or they pass through here."""
    ahead: Ahead
    lost: Collection[str] = ()
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Part:
    """One that has been read; its room is given back once it is sent."""

    body: BinaryIO
    md5: str
    size: int
    held: int


def copy(job: Job) -> Copied:
    """Copy one. An attempt that is cut off is gone on with by the next; one that is refused leaves nothing."""
    each = _part_size(job)
    headers, not_kept = kept(job.context.source.properties(job.source.key, job.source.etag), job.lost)
    upload = _upload(job, each, headers)
    try:
        etags, proof = _fill(job, upload, spans(job.source.size, each))
        etag = upload.complete(etags, job.expect)
    except ItemError:
        upload.abort()
        job.context.records.store.remove([_record(job.context, job.key)])
        raise
    job.context.records.store.remove([_record(job.context, job.key)])
    not_kept += odd_headers.lacking(job.context.destination, job.key, headers)
    return Copied(etag, proof=proof, not_kept=not_kept)


def abort_all(context: Context) -> None:
    """Abort what no attempt has finished: its source changed, or is gone."""
    for name in list(context.records.keys(UPLOADS)):
        if (known := _known(context, name)) is not None:
            Upload(context.destination, known["key"], known["upload"]).abort()
            context.records.store.remove([name])


def _part_size(job: Job) -> int:
    """As the original's parts, so that both ETags can be compared."""
    usual, most = (COPIED_PART, LARGEST_PART) if job.on_server else (STREAMED_PART, COPIED_PART)
    first = job.context.source.bodies.first_part(job.source.key, job.source.etag) if "-" in job.source.etag else 0
    return original_part_size(job.source, first, most) or part_size(job.source.size, usual)


def _upload(job: Job, each: int, headers: Mapping[str, str]) -> Upload:
    """The one that an earlier attempt began of the same content, or a new one."""
    context, name = job.context, _record(job.context, job.key)
    meant = {"key": job.key, "etag": job.source.etag, "size": job.source.size, "part": each}
    known = _known(context, name)
    if known is not None:
        earlier = Upload(context.destination, job.key, known.pop("upload"))
        if known == meant and _is_there(earlier):
            return earlier
        earlier.abort()
    try:
        upload = odd_headers.write(
            lambda sent: Upload.begin(context.destination, job.key, {**sent, **(job.extra or {})}), headers
        )
    except DeniedError as error:
        raise denied(error, headers) from error
    record = json.dumps(meant | {"upload": upload.id}).encode()
    context.records.store.put(name, record, {"content-type": "application/json"})
    return upload


def _fill(job: Job, upload: Upload, wanted: Mapping[int, Span]) -> tuple[dict[int, str], str]:
    """All parts: their ETags, and `Copied.proof` where all of it passed through here in this attempt."""
    there = {number: etag for number, (etag, size) in upload.parts().items() if wanted.get(number, (0, 0))[1] == size}
    left = {number: span for number, span in wanted.items() if number not in there}
    if job.on_server:
        return there | _copied(job, upload, left), ""
    made, proof = _streamed(job, upload, left)
    return there | made, "" if there else proof


def _copied(job: Job, upload: Upload, left: Mapping[int, Span]) -> dict[int, str]:
    def one(number: int) -> str:
        job.context.engine.require_going()
        etag = upload.copy_part(number, job.context.source.bucket, job.source, left[number])
        if not etag:
            raise NotSupportedError(f"copy part {number} of {job.source.key!r}: the server answers no ETag for it")
        job.ahead.bytes(left[number][1])
        return etag

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="parts") as pool:
        return dict(zip(left, pool.map(one, left), strict=True))


def _streamed(job: Job, upload: Upload, left: Mapping[int, Span]) -> tuple[dict[int, str], str]:
    """Read one after the other and sent beside it: the ETags, and `Copied.proof` by the MD5s of what was read.

    OtherBytesError when what was read, all of it in this attempt, is not what the source says of itself.
    """
    bodies, sent, own = job.context.source.bodies, dict[int, Future[str]](), dict[int, str]()
    check = bodies.check(job.source)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="parts") as pool:
        for number, span in left.items():
            job.context.engine.require_going()
            part = _read(job, span, check.update)
            own[number] = base64.b64decode(part.md5).hex()
            sent[number] = pool.submit(_put, job, upload, number, part)
            if (earlier := sent.get(number - AT_ONCE)) is not None:
                earlier.result()
        etags = {number: future.result() for number, future in sent.items()}
    if check.size < job.source.size:  # an earlier attempt has read the rest, so nothing can be said of the whole
        return etags, ""
    bodies.require(job.source, check)
    return etags, whole_etag(own) if check.judgement is Judgement.RIGHT else ""


def _read(job: Job, span: Span, update: Callable[[bytes], None]) -> _Part:
    """One part of the original, in memory or in a file; room is taken for it until it is sent."""
    first, size = span
    held = job.context.room.take(min(size, IN_MEMORY))
    try:
        body, md5 = job.context.source.bodies.read_part(job.source, first, size, IN_MEMORY)
    except BaseException:
        job.context.room.give(held)
        raise
    while block := body.read(BLOCK):
        update(block)
    return _Part(body, md5, size, held)


def _put(job: Job, upload: Upload, number: int, part: _Part) -> str:
    try:
        with part.body:
            etag = upload.put_part(number, part.body, part.md5, part.size)
            job.ahead.bytes(part.size)
            return etag
    finally:
        job.context.room.give(part.held)


def _is_there(upload: Upload) -> bool:
    try:
        upload.parts()
    except NotFoundError:
        return False
    return True


def _known(context: Context, name: str) -> dict[str, Any] | None:
    """The upload that the records tell of; None where they tell of none that can be one of ours.

    Others may write there: a record opens no way to uploads outside of the destination.
    """
    found = context.records.note(name.removeprefix(context.records.folder))
    key, upload = found.get("key"), found.get("upload")
    if not isinstance(key, str) or not isinstance(upload, str):
        return None
    ours = key.startswith(context.spec.destination.prefix) and name == _record(context, key)
    return dict(found) if ours else None


def _record(context: Context, key: str) -> str:
    return f"{context.records.folder}{UPLOADS}{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
