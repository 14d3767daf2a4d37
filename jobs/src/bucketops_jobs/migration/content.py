"""Whether two objects have the same content, and how one is carried over where the server cannot copy safely."""

from __future__ import annotations

import hashlib
import re
import tempfile
from typing import BinaryIO

from bucketops_jobs.errors import PreconditionFailedError
from bucketops_jobs.s3.store import Expect, Object, Store

_BLOCK = 1 << 20  # bytes
_IN_MEMORY = 4 << 20  # bytes; larger objects go through a file
_PLAIN_MD5 = re.compile(r"^[0-9a-f]{32}$")


def same(source_store: Store, source: Object, store: Store, destination: Object, *, by_bytes: bool) -> bool:
    """Equal sizes and equal plain ETags, or equal bytes where the ETags cannot be compared.

    An ETag of 32 hexadecimal digits may still be no MD5 (SSE-KMS, SSE-C): equal ones mean equal content, different
    ones are looked at byte by byte. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    if source.size != destination.size:
        return False
    if source.etag == destination.etag and _PLAIN_MD5.match(source.etag) and not by_bytes:
        return True
    return digest(source_store, source) == digest(store, destination)


def digest(store: Store, entry: Object) -> str:
    """SHA-256 of an object's bytes as they are at this ETag."""
    hasher = hashlib.sha256()
    with store.get(entry.key, etag=entry.etag).body as body:
        while block := body.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def carry(source_store: Store, source: Object, store: Store, key: str, expect: Expect) -> str:
    """GET and a conditional PUT: closes the race that a server leaves open whose CopyObject ignores conditions."""
    content = source_store.get(source.key, etag=source.etag)
    with content.body as body, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        md5 = _fill(body, spool)
        try:
            return store.put(key, spool, content.headers, expect)  # type: ignore[arg-type]
        except PreconditionFailedError:
            return _our_own(store, key, md5, source.size)


def _fill(body: BinaryIO, spool: tempfile.SpooledTemporaryFile[bytes]) -> str:
    hasher = hashlib.md5(usedforsecurity=False)
    while block := body.read(_BLOCK):
        hasher.update(block)
        spool.write(block)
    return hasher.hexdigest()


def _our_own(store: Store, key: str, md5: str, size: int) -> str:
    """A retried PUT whose first answer was lost meets its own object."""
    found = store.head(key)
    if found is not None and (found.etag, found.size) == (md5, size):
        return found.etag
    raise PreconditionFailedError(f"put {key!r}: the destination is no longer as expected")
