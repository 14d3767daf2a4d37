"""One object in parts: copied by the server or sent, for what a single request cannot carry.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from bucketops_jobs.errors import NotFoundError, PreconditionFailedError
from bucketops_jobs.s3 import wire
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.store import Expect, Object

MOST_PARTS = 10_000
SMALLEST_PART = 5 << 20
LARGEST_PART = 5 << 30
"""Bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. Only the last part may be smaller."""
_MIB = 1 << 20


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
        self._names = {"Bucket": store.bucket, "Key": key, "UploadId": upload_id}

    @classmethod
    def begin(cls, store: S3Store, key: str, headers: Mapping[str, str]) -> Upload:
        """Begin one; `headers` are those of a PUT."""

        def call() -> str:
            made = store.control.create_multipart_upload(Bucket=store.bucket, Key=key, **store.parameters(headers))
            return str(made["UploadId"])

        return cls(store, key, store.call(f"begin {key!r}", call))

    def parts(self) -> dict[int, tuple[str, int]]:
        """The parts that are there, by number: ETag and bytes. NotFoundError when the upload is gone."""

        def call() -> dict[int, tuple[str, int]]:
            pages = self._store.control.get_paginator("list_parts").paginate(**self._names)
            found = (part for page in pages for part in page.get("Parts", ()))
            return {part["PartNumber"]: (wire.bare(part["ETag"]), part["Size"]) for part in found}

        return self._store.call(f"parts of {self.key!r}", call)

    def copy_part(self, number: int, source_bucket: str, source: Object, span: tuple[int, int]) -> str:
        """Let the server copy a span (first byte, number of bytes) of the source, while its ETag holds."""
        first, size = span
        wanted = {
            "CopySource": {"Bucket": source_bucket, "Key": source.key},
            "CopySourceRange": f"bytes={first}-{first + size - 1}",
            "CopySourceIfMatch": f'"{source.etag}"',
        }

        def call() -> str:
            answer = self._store.control.upload_part_copy(**self._names, PartNumber=number, **wanted)
            return wire.bare(answer["CopyPartResult"].get("ETag", ""))

        return self._store.call(f"copy part {number} of {source.key!r} to {self.key!r}", call, cost=size)

    def put_part(self, number: int, body: BinaryIO, md5: str, size: int) -> str:
        """Send one; a byte changed on the way is refused. `md5` is in base64."""

        def call() -> str:
            body.seek(0)
            sent = {"Body": body, "ContentMD5": md5, "ContentLength": size}
            return wire.bare(self._store.control.upload_part(**self._names, PartNumber=number, **sent)["ETag"])

        return self._store.call(f"put part {number} of {self.key!r}", call, cost=size)

    def complete(self, etags: Mapping[int, str], expect: Expect) -> str:
        """Make the object of its parts if the key is as expected, and return its ETag.

        An upload that is gone was perhaps completed by a request whose answer was lost.
        """
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
        condition = self._store.parameters({}, expect)
        named = {name: condition[name] for name in ("IfMatch", "IfNoneMatch") if name in condition}

        def call() -> str:
            complete = self._store.control.complete_multipart_upload
            return wire.bare(complete(**self._names, MultipartUpload={"Parts": parts}, **named).get("ETag", ""))

        try:
            return self._store.call(f"complete {self.key!r}", call)
        except (NotFoundError, PreconditionFailedError):
            found = self._store.head(self.key)
            if found is not None and found.etag == whole_etag(etags):
                return found.etag
            raise

    def abort(self) -> None:
        """Give up; nothing of it stays."""
        with suppress(NotFoundError):
            self._store.call(f"abort {self.key!r}", lambda: self._store.control.abort_multipart_upload(**self._names))
