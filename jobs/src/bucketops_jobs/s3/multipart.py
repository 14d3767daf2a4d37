"""One object in parts: copied by the server or sent, for what a single request cannot carry.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from bucketops_jobs.errors import NotFoundError, PreconditionFailedError, TransientError
from bucketops_jobs.s3 import multipart_calls, wire
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.http import itself
from bucketops_jobs.s3.multipart_calls import Part, UploadCalls
from bucketops_jobs.s3.store import Expect, Object

MOST_PARTS = 10_000
SMALLEST_PART = 5 << 20
LARGEST_PART = 5 << 30
"""Bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. Only the last part may be smaller."""
_MIB = 1 << 20
IN_MEMORY = 16 * _MIB
"""Bytes of a part; one that is larger, because the original's are or because 10,000 must do, stays in its file."""


def part_size(size: int, usual: int) -> int:
    """Bytes of each part but the last: as `usual`, or as many as 10,000 parts make necessary, in whole MiB."""
    least = -(-size // MOST_PARTS)
    return max(usual, -(-least // _MIB) * _MIB)


def original_part_size(source: Object, first: int, most: int) -> int | None:
    """The same of the upload that made an object: equal content in equal parts has equal ETags.

    None where its parts were not equal, or cannot be had again.
    """
    _, dash, count = source.etag.rpartition("-")
    if not dash or not count.isdigit() or not 0 < int(count) <= MOST_PARTS:
        return None
    fits = (int(count) - 1) * first < source.size <= int(count) * first
    return first if fits and first <= most and (first >= SMALLEST_PART or int(count) == 1) else None


def spans(size: int, each: int) -> dict[int, tuple[int, int]]:
    """By part number its first byte and its number of bytes."""
    return {number: (start, min(each, size - start)) for number, start in enumerate(range(0, size, each), 1)}


def whole_etag(etags: Mapping[int, str]) -> str:
    """The ETag that S3 gives an object of these parts, where they are MD5s; empty where they are not."""
    try:
        joined = b"".join(bytes.fromhex(etag) for _, etag in sorted(etags.items()))
    except ValueError:
        return ""
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


class Upload:
    """A multipart upload that has been begun."""

    def __init__(self, store: S3Store, key: str, upload_id: str) -> None:
        self._store, self.key, self.id = store, key, upload_id
        self._calls = UploadCalls(store.calls, key, upload_id)

    @classmethod
    def begin(cls, store: S3Store, key: str, headers: Mapping[str, str]) -> Upload:
        """Begin one; `headers` are those of a PUT."""
        request = UploadCalls(store.calls, key).begin(headers)
        return cls(store, key, store.ask(request, f"begin {key!r}", multipart_calls.upload_id))

    def parts(self) -> dict[int, Part]:
        """The parts that are there, by number: ETag and bytes. NotFoundError when the upload is gone."""
        found: dict[int, Part] = {}
        after: int | None = 0
        while after is not None:
            listed = self._store.ask(self._calls.list(after), f"parts of {self.key!r}", multipart_calls.parts)
            if listed.after is not None and not after < listed.after <= MOST_PARTS:
                raise TransientError(f"the list of parts of {self.key!r} does not go on from {after}")
            found |= listed.parts
            after = listed.after
        return found

    def copy_part(self, number: int, source_bucket: str, source: Object, span: tuple[int, int]) -> str:
        """Let the server copy a span (first byte, number of bytes) of the source, while its ETag holds."""
        request = self._calls.copy(number, source_bucket, source, span)
        what = f"copy part {number} of {source.key!r} to {self.key!r}"
        return self._store.ask(request, what, wire.copied_etag, cost=span[1])

    def put_part(self, number: int, body: BinaryIO, md5: str, size: int) -> str:
        """Send one; a byte changed on the way is refused. `md5` is in base64."""
        body.seek(0)
        sent = wire.file_body(body) if size > IN_MEMORY else body.read()
        request = self._calls.put(number, sent, md5)
        return self._store.ask(request, f"put part {number} of {self.key!r}", wire.put_etag, cost=size)

    def complete(self, etags: Mapping[int, str], expect: Expect) -> str:
        """Make the object of its parts if the key is as expected, and return its ETag (empty where it is not told).

        An upload that is gone was perhaps completed by a request whose answer was lost.
        """
        request = self._calls.complete(etags, expect)
        try:
            return self._store.ask(request, f"complete {self.key!r}", wire.copied_etag)
        except (NotFoundError, PreconditionFailedError):
            found = self._store.head(self.key)
            if found is not None and found.etag == whole_etag(etags):
                return found.etag
            raise

    def abort(self) -> None:
        """Give up; nothing of it stays."""
        with suppress(NotFoundError):
            self._store.ask(self._calls.abort(), f"abort {self.key!r}", itself)
