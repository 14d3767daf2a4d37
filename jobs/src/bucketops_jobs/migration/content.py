"""Whether two objects have the same content, and how one is carried over where the server cannot copy safely."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from bucketops_jobs.errors import DeniedError, OtherBytesError, PreconditionFailedError
from bucketops_jobs.migration import odd_headers
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.store import TAGGING, Content, Expect, Object, Store

BLOCK = 1 << 20  # bytes
_IN_MEMORY = 8 << 20  # bytes; larger objects go through a file
_MD5 = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
NAMES = {TAGGING: "tags", "x-amz-meta-probe": "user metadata"}
"""What people call a header."""


class Copied(NamedTuple):
    """An object that has been copied."""

    etag: str
    """Of the copy, as the server answered; empty where it did not tell."""
    proof: str = ""
    """The ETag that a listing shows if the server kept what it was sent, and that was the original's content."""
    not_kept: tuple[str, ...] = ()
    """Properties of the original that it lacks."""


def same(source_store: Store, source: Object, store: Store, destination: Object, *, by_bytes: bool) -> bool:
    """Equal sizes and equal ETags made of MD5s, or equal checksums, or equal bytes where neither can be compared.

    An ETag of 32 hexadecimal digits may still be no MD5 (SSE-KMS, SSE-C): equal ones mean equal content, different
    ones are looked at more closely. So are those of multipart uploads (`…-N`), which depend on the parts.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    if source.size != destination.size:
        return False
    if not by_bytes:
        if equal_etags(source, destination):
            return True
        equal = _by_checksum(
            source_store.checksums(source.key, source.etag), store.checksums(destination.key, destination.etag)
        )
        if equal is not None:
            return equal
    original = digest(source_store, source)
    try:
        return original == digest(store, destination)
    except OtherBytesError:  # a copy that went bad behind its ETag is none
        return False


def equal_etags(source: Object, destination: Object) -> bool:
    """Whether sizes and ETags alone show that both have the same content."""
    return (source.etag, source.size) == (destination.etag, destination.size) and bool(_MD5.fullmatch(source.etag))


def _by_checksum(one: Mapping[str, str], other: Mapping[str, str]) -> bool | None:
    """None where no checksum of the whole content is known of both."""
    common = one.keys() & other.keys()
    return all(one[name] == other[name] for name in common) if common else None


def digest(store: Store, entry: Object) -> str:
    """SHA-256 of an object's bytes as they are at this ETag; OtherBytesError when they are not what that says."""
    hasher = hashlib.sha256()
    with store.get(entry.key, etag=entry.etag, size=entry.size).body as body:
        while block := body.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def kept(headers: Mapping[str, str], lost: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What can be sent along, and the names of what the destination does not keep."""
    gone = {name for name in headers if name in lost or (name.startswith("x-amz-meta-") and "x-amz-meta-probe" in lost)}
    sent = {name: value for name, value in headers.items() if name not in gone}
    return sent, tuple(NAMES.get(name, name) for name in sorted(gone))


def loses(store: S3Store, key: str, lost: Collection[str], etag: str | None = None) -> bool:
    """Whether an object has one of these properties; PreconditionFailedError when its ETag is no longer `etag`."""
    return bool(kept(store.properties(key, etag), lost)[1])


def carry(
    source_store: Store,
    source: Object,
    store: Store,
    key: str,
    expect: Expect,
    *,
    lost: Collection[str] = (),
    extra: Mapping[str, str] | None = None,
) -> Copied:
    """GET and a conditional PUT: closes the race that a server leaves open whose CopyObject ignores conditions.

    `lost`: properties that the destination does not keep; `extra`: headers beside the object's own.
    """
    content = source_store.get(source.key, etag=source.etag, size=source.size)
    headers, not_kept = kept(content.headers, lost)
    with content.body as body, _held(body, content) as (held, md5):
        try:
            etag = odd_headers.write(lambda sent: store.put(key, held, {**sent, **(extra or {})}, expect), headers)
        except DeniedError as error:
            raise denied(error, headers) from error
        except PreconditionFailedError:
            etag = _our_own(store, key, md5, source.size)
    not_kept += odd_headers.lacking(store, key, headers)
    return Copied(etag, proof=md5 if md5 == source.etag else "", not_kept=not_kept)


def denied(error: DeniedError, headers: Mapping[str, str]) -> DeniedError:
    """The same with the right that is perhaps missing."""
    return DeniedError(f"{error}: it has tags: allow s3:PutObjectTagging") if TAGGING in headers else error


@contextmanager
def _held(body: BinaryIO, content: Content) -> Iterator[tuple[BinaryIO | bytes, str]]:
    """All of a body, in memory or, if it is large, in a file; and its MD5."""
    if content.size <= _IN_MEMORY:
        data = body.read()
        yield data, content.md5 or hashlib.md5(data, usedforsecurity=False).hexdigest()
        return
    hasher = hashlib.md5(usedforsecurity=False)
    with tempfile.TemporaryFile() as file:
        while block := body.read(BLOCK):
            if not content.md5:
                hasher.update(block)
            file.write(block)
        yield file, content.md5 or hasher.hexdigest()


def _our_own(store: Store, key: str, md5: str, size: int) -> str:
    """A retried PUT whose first answer was lost meets its own object."""
    found = store.head(key)
    if found is not None and (found.etag, found.size) == (md5, size):
        return found.etag
    raise PreconditionFailedError(f"put {key!r}: the destination is no longer as expected")
