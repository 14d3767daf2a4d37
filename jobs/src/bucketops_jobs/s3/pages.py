"""The answer of ListObjectsV2 -> Page."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from bucketops_jobs.errors import TransientError
from bucketops_jobs.s3.store import Object, Page


def parse(body: bytes) -> Page:
    """One page; TransientError when it is not what it says of itself."""
    root = ET.fromstring(body)  # noqa: S314 - the answer of the server that we signed for
    encoded = root.findtext("{*}EncodingType") == "url"
    decode = unquote_plus if encoded else str
    objects = [
        Object(
            decode(row.findtext("{*}Key", "")),
            row.findtext("{*}ETag", "").strip('"'),
            int(row.findtext("{*}Size", "0")),
            datetime.fromisoformat(row.findtext("{*}LastModified", "")),
            row.findtext("{*}StorageClass") or "STANDARD",
        )
        for row in root.iterfind("{*}Contents")
    ]
    token = root.findtext("{*}NextContinuationToken")
    if root.findtext("{*}IsTruncated") != "true":
        return Page(objects, None)
    if not token:
        raise TransientError("the listing broke off without a token")
    return Page(objects, token)
