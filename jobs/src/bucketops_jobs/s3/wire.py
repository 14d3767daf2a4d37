"""S3's REST API as data: a call becomes a request, an answer a value. Pure; nothing here opens a connection."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from bucketops_api import names
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import ItemError
from bucketops_jobs.s3.store import STORAGE_CLASS, Copy, Expect, Object

Headers = Sequence[tuple[str, str]]
_AGENT = f"user-agent: {names.MANAGER}"
_OK, _REDIRECTED = 200, 300
METADATA = "x-amz-meta-"
TAG_COUNT = "x-amz-tagging-count"
ENCRYPTION = "x-amz-server-side-encryption"
TRAVEL = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"}
)
"""Headers of an object that belong to its content."""
_ENCRYPTION = {"SSE-S3": "AES256", "SSE-KMS": "aws:kms"}
_CHECKSUM = "x-amz-checksum-"
_CHECKSUMS = {"crc32", "crc32c", "crc64nvme", "sha1", "sha256"}
_DNS_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Without dots: they break the wildcard certificate of a virtual host."""
_ETAG = re.compile(rb"<ETag>(.*?)</ETag>", re.DOTALL)
_CODE = re.compile(rb"<Code>(.*?)</Code>", re.DOTALL)
_MESSAGE = re.compile(rb"<Message>(.*?)</Message>", re.DOTALL)
_REFUSED = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error[\s>]")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `path` is percent-encoded and holds the query."""

    operation: str
    """S3's name of it, e.g. CopyObject."""
    method: str
    path: str
    headers: Headers = ()
    body: bytes = b""
    moves: int = 0
    """Bytes that the server moves by itself before it answers."""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """A header's value, or nothing; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket's requests go."""

    tls: bool
    host: str
    """With its port, as the Host header has it."""
    base: str
    """The path before a key; ends in a slash."""


def place(ref: BucketRef, endpoint: str) -> Place:
    """Path or virtual addressing; `auto` is virtual on AWS and path elsewhere: few others have a wildcard name.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    url = urlsplit(endpoint)
    auto = ref.addressing_style == "auto" and not ref.endpoint and _DNS_BUCKET.fullmatch(ref.bucket) is not None
    if ref.addressing_style == "virtual" or auto:
        return Place(url.scheme == "https", f"{ref.bucket}.{url.netloc}", "/")
    return Place(url.scheme == "https", url.netloc, f"/{ref.bucket}/")


class Calls:
    """The requests of one bucket."""

    def __init__(self, ref: BucketRef, where: Place) -> None:
        self._base = where.base
        self._bucket = where.base.rstrip("/") or "/"
        self.payer: list[tuple[str, str]] = [("x-amz-request-payer", "requester")] if ref.request_payer else []
        self._written = self.payer + list(_written(ref))

    def page(self, prefix: str, *, after: str, token: str | None, limit: int) -> Request:
        where = {"continuation-token": token} if token else {"start-after": after} if after else {}
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(limit), "prefix": prefix, **where}
        return Request("ListObjectsV2", "GET", f"{self._bucket}?{urlencode(query, quote_via=quote)}", self.payer)

    def head(self, key: str, etag: str | None = None, *, part: int | None = None) -> Request:
        """With the checksums that the server has; of one part of the upload that made the object, if so asked."""
        condition = [("if-match", f'"{etag}"'), ("x-amz-checksum-mode", "ENABLED")] if etag else []
        query = f"?partNumber={part}" if part else ""
        return Request("HeadObject", "HEAD", self._path(key) + query, condition + self.payer)

    def get(self, key: str, etag: str | None) -> Request:
        condition = [("if-match", f'"{etag}"')] if etag else []
        return Request("GetObject", "GET", self._path(key), condition + self.payer)

    def put(self, key: str, body: bytes, headers: Mapping[str, str], expect: Expect) -> Request:
        """With the body's MD5, so that a byte changed on the way is refused: the checksum that every server knows."""
        sent = [*self.put_headers(headers, expect), ("content-md5", md5(body))]
        return Request("PutObject", "PUT", self._path(key), sent, body)

    def put_headers(self, headers: Mapping[str, str], expect: Expect) -> Headers:
        """What a PUT says beside its body."""
        return [*headers.items(), *_condition(expect), *self._written]

    def copy(self, wanted: Copy) -> Request:
        """The server copies while the source's ETag holds and the key is as expected."""
        source = ("x-amz-copy-source", f"/{wanted.source_bucket}/{quote(wanted.source.key)}")
        unchanged = ("x-amz-copy-source-if-match", f'"{wanted.source.etag}"')
        kept = [(STORAGE_CLASS, wanted.storage_class)] if wanted.storage_class else []
        headers = [source, unchanged, *kept, *_condition(wanted.expect), *self._written]
        return Request("CopyObject", "PUT", self._path(wanted.key), headers, moves=wanted.source.size)

    def delete(self, key: str, etag: str | None = None) -> Request:
        condition = [("if-match", f'"{etag}"')] if etag else []
        return Request("DeleteObject", "DELETE", self._path(key), condition + self.payer)

    def delete_many(self, keys: Iterable[str]) -> Request:
        """At most 1,000 keys that XML can hold; answers name the keys that remain."""
        rows = "".join(f"<Object><Key>{escape(key, {chr(13): '&#13;'})}</Key></Object>" for key in keys)
        body = f"<Delete>{rows}<Quiet>true</Quiet></Delete>".encode()
        sent = [("content-md5", md5(body)), ("content-type", "application/xml"), *self.payer]
        return Request("DeleteObjects", "POST", f"{self._bucket}?delete=", sent, body)

    def _path(self, key: str) -> str:
        return self._base + quote(key)


def _written(ref: BucketRef) -> Iterator[tuple[str, str]]:
    """What the destination's BucketRef asks of written objects."""
    if ref.storage_class:
        yield STORAGE_CLASS, ref.storage_class
    if ref.encryption.type in _ENCRYPTION:
        yield "x-amz-server-side-encryption", _ENCRYPTION[ref.encryption.type]
    if ref.encryption.kms_key_id:
        yield "x-amz-server-side-encryption-aws-kms-key-id", ref.encryption.kms_key_id


def _condition(expect: Expect) -> Headers:
    if expect.absent:
        return [("if-none-match", "*")]
    if expect.etag:
        return [("if-match", expect.etag if expect.bare else f'"{expect.etag}"')]
    return []


def serialized(request: Request, headers: Headers) -> bytes:
    """A request as it goes over a connection; ItemError where a header would break its frame."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ItemError(f"{request.operation}: a header holds a control character: {headers}")
    head = f"{request.method} {request.path} HTTP/1.1\r\n{lines}content-length: {len(request.body)}\r\n{_AGENT}\r\n\r\n"
    return head.encode(errors="surrogateescape") + request.body


def refused(request: Request, answer: Response) -> bool:
    """Whether the answer is an error, which S3 may tell in the body of a 200 that it began too early.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    if not _OK <= answer.status < _REDIRECTED:
        return True
    return request.operation != "GetObject" and _REFUSED.match(answer.body) is not None


def md5(body: bytes) -> str:
    """As the Content-MD5 header has it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def fits_xml(key: str) -> bool:
    """Whether DeleteObjects can name the key at all."""
    return _NO_XML.search(key) is None


def copied_etag(body: bytes) -> str:
    """The ETag in the answer of CopyObject; empty when it has none."""
    found = _ETAG.search(body)
    return bare(html.unescape(found[1].decode())) if found else ""


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')


def error_of(body: bytes) -> tuple[str, str]:
    """Code and message of an error's body; empty where there is none (HEAD)."""
    found = (pattern.search(body) for pattern in (_CODE, _MESSAGE))
    code, message = (html.unescape(match[1].decode(errors="replace")) if match else "" for match in found)
    return code, message


def refused_keys(body: bytes) -> Iterator[tuple[str, str, str]]:
    """The keys that DeleteObjects left, with code and message."""
    for error in ET.fromstring(body).iterfind("{*}Error"):  # noqa: S314 - the answer of the server that we signed for
        key, code, message = (error.findtext(f"{{*}}{name}", "") for name in ("Key", "Code", "Message"))
        yield key, code, message


def headed(key: str, answer: Response) -> Object:
    """An object as HEAD shows it."""
    return Object(
        key,
        bare(answer.header("etag")),
        int(answer.header("content-length") or 0),
        http_date(answer.header("last-modified")),
        answer.header("x-amz-storage-class") or "STANDARD",
    )


def whole_checksums(answer: Response) -> dict[str, str]:
    """Checksums of the whole content by algorithm; those of parts, combined, compare nothing but equal parts.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    if answer.header(f"{_CHECKSUM}type") == "COMPOSITE":
        return {}
    found = ((name.lower().removeprefix(_CHECKSUM), value) for name, value in answer.headers)
    return {name: value for name, value in found if name in _CHECKSUMS and "-" not in value}


def http_date(text: str) -> datetime:
    """https://www.rfc-editor.org/rfc/rfc9110#name-date-time-formats."""
    return parsedate_to_datetime(text)


def content_headers(answer: Response) -> dict[str, str]:
    """What must travel with an object's bytes."""
    lower = ((name.lower(), value) for name, value in answer.headers)
    return {name: value for name, value in lower if value and _travels(name)}


def _travels(name: str) -> bool:
    return name in TRAVEL or name == TAG_COUNT or name.startswith(METADATA)
