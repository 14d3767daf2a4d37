"""The requests of one multipart upload, and what their answers hold. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import NamedTuple
from urllib.parse import quote, urlencode

from bucketops_jobs.errors import ItemError
from bucketops_jobs.s3 import documents, wire
from bucketops_jobs.s3.store import ANYTHING, Expect, Object
from bucketops_jobs.s3.wire import Calls, FileBody, Request, Response

Part = tuple[str, int]
"""ETag and bytes."""
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


class Parts(NamedTuple):
    """One answer of ListParts."""

    parts: dict[int, Part]
    after: int | None
    """Number of the part after which the next one begins; None at the end."""


class UploadCalls:
    """Of an upload to a key; `upload` is its id."""

    def __init__(self, calls: Calls, key: str, upload: str = "") -> None:
        self._calls, self._key, self._upload = calls, key, upload

    def begin(self, headers: Mapping[str, str]) -> Request:
        """`headers` are those of a PUT."""
        sent = self._calls.put_headers(headers, ANYTHING)
        return Request("CreateMultipartUpload", "POST", self._calls.path(self._key, "uploads"), sent)

    def list(self, after: int) -> Request:
        """The parts behind a number."""
        return Request("ListParts", "GET", self._path({"part-number-marker": after}), self._calls.payer)

    def put(self, number: int, body: bytes | FileBody, md5: str) -> Request:
        """Refused if a byte changes on the way; `md5` is in base64."""
        headers = [("content-md5", md5), *self._calls.payer]
        return Request("UploadPart", "PUT", self._path({"partNumber": number}), headers, body)

    def copy(self, number: int, source_bucket: str, source: Object, span: tuple[int, int]) -> Request:
        """The server copies a span (first byte, number of bytes) of the source, while its ETag holds."""
        first, size = span
        headers = [
            ("x-amz-copy-source", f"/{source_bucket}/{quote(source.key)}"),
            ("x-amz-copy-source-if-match", f'"{source.etag}"'),
            ("x-amz-copy-source-range", f"bytes={first}-{first + size - 1}"),
            *self._calls.payer,
        ]
        return Request("UploadPartCopy", "PUT", self._path({"partNumber": number}), headers, moves=size)

    def complete(self, etags: Mapping[int, str], expect: Expect, size: int = 0) -> Request:
        """Make the object of its parts if the key is as expected."""
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
            for number, etag in sorted(etags.items())
        )
        body = f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{rows}</CompleteMultipartUpload>'.encode()
        headers = [("content-type", "application/xml"), *wire.condition(expect), *self._calls.payer]
        return Request("CompleteMultipartUpload", "POST", self._path({}), headers, body, moves=size)

    def abort(self) -> Request:
        """Nothing of it stays."""
        return Request("AbortMultipartUpload", "DELETE", self._path({}), self._calls.payer)

    def _path(self, query: Mapping[str, int]) -> str:
        return self._calls.path(self._key, urlencode({**query, "uploadId": self._upload}, quote_via=quote))


def upload_id(answer: Response) -> str:
    """The id of an upload that was begun; ItemError when the answer has none: asked again, it would begin another.

    Whatever else stands there: a key with control characters makes it no XML at all, on AWS.
    """
    found = _ID.search(answer.body)
    if found is None:
        raise ItemError(
            "the answer to CreateMultipartUpload names no upload: if one is left unfinished there, abort it (or let a "
            "lifecycle rule do so)"
        )
    return unescape(found[1].decode())


def parts(answer: Response) -> Parts:
    """The parts of an upload; ValueError or KeyError when the answer is no such list."""
    found = documents.read(answer.body)
    if found.root != "ListPartsResult":
        raise ValueError(f"it is no list of parts, but {found.root}")
    rows = found.rows.get("Part", ())
    listed = {int(row["PartNumber"]): (wire.bare(row["ETag"]), int(row["Size"])) for row in rows}
    more = found.fields.get("IsTruncated") == "true"
    return Parts(listed, int(found.fields["NextPartNumberMarker"]) if more else None)
