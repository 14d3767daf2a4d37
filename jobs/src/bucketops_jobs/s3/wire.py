"""S3's REST API as data: a call becomes a request, an answer a value. Pure; nothing here opens a connection."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from bucketops_api import names
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import ItemError
from bucketops_jobs.s3 import dates
from bucketops_jobs.s3.documents import FORBIDDEN, read
from bucketops_jobs.s3.store import STORAGE_CLASS, Copy, Expect, Object

Headers = Sequence[tuple[str, str]]
Name = tuple[str, str]
"""A key and a version of it; empty: the current one."""
_AGENT = f"user-agent: {names.MANAGER}"
SUCCESS = range(200, 300)
_BLOCK = 256 << 10
"""Bytes that are sent at once."""
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
_REFUSED = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error[\s>]")
_PLAIN = re.compile("[A-Za-z0-9_.~/-]*")
"""What stands for itself in a path: https://www.rfc-editor.org/rfc/rfc3986#section-2.3."""
_MARKUP = re.compile("[&<>\r]")
_FRAME = re.compile("[\r\n\0]")
"""What ends a header's line, or does for some servers."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that is too large to be held in memory: all of a file that can seek."""

    file: BinaryIO
    size: int
    sha256: str
    """In hexadecimal digits."""
    md5: str
    """As the Content-MD5 header has it."""

    def __len__(self) -> int:
        return self.size


def file_body(file: BinaryIO) -> FileBody:
    """A file as a body; it is read once for its digests."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    file.seek(0)
    while block := file.read(_BLOCK):
        sha256.update(block)
        md5.update(block)
    return FileBody(file, file.tell(), sha256.hexdigest(), base64.b64encode(md5.digest()).decode())


def blocks(body: bytes | FileBody) -> Iterator[bytes | memoryview]:
    """A body in pieces; OSError or ValueError (closed) of the file."""
    if isinstance(body, bytes):
        view = memoryview(body)
        yield from (view[start : start + _BLOCK] for start in range(0, len(view), _BLOCK))
        return
    body.file.seek(0)
    while block := body.file.read(_BLOCK):
        yield block


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `path` is percent-encoded and holds the query."""

    operation: str
    """S3's name of it, e.g. CopyObject."""
    method: str
    path: str
    headers: Headers = ()
    body: bytes | FileBody = b""
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

    @property
    def bucket_path(self) -> str:
        """The path of the bucket itself."""
        return self.base.rstrip("/") or "/"


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
        self.bucket_path = where.bucket_path
        """Of the bucket itself."""
        self.payer: list[tuple[str, str]] = [("x-amz-request-payer", "requester")] if ref.request_payer else []
        self._written = self.payer + list(_written(ref))

    def page(self, prefix: str, *, after: str, token: str | None, limit: int) -> Request:
        where = {"continuation-token": token} if token else {"start-after": after} if after else {}
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(limit), "prefix": prefix, **where}
        return Request("ListObjectsV2", "GET", f"{self.bucket_path}?{urlencode(query, quote_via=quote)}", self.payer)

    def head(self, key: str, etag: str | None = None, *, part: int | None = None, checksums: bool = False) -> Request:
        """With the checksums that the server has, or of one part of the upload that made the object, if so asked."""
        asked = [("x-amz-checksum-mode", "ENABLED")] if checksums else []
        query = f"partNumber={part}" if part else ""
        return Request("HeadObject", "HEAD", self.path(key, query), [*_matching(etag), *asked, *self.payer])

    def get(self, key: str, etag: str | None, span: tuple[int, int] | None = None) -> Request:
        """An object, or a span of it: first byte, number of bytes."""
        bounds = [("range", f"bytes={span[0]}-{sum(span) - 1}")] if span else []
        return Request("GetObject", "GET", self.path(key), [*_matching(etag), *bounds, *self.payer])

    def tags(self, key: str) -> Request:
        return Request("GetObjectTagging", "GET", self.path(key, "tagging"), self.payer)

    def put(self, key: str, body: bytes | FileBody, headers: Mapping[str, str], expect: Expect) -> Request:
        """With the body's MD5, so that a byte changed on the way is refused: the checksum that every server knows."""
        digest = body.md5 if isinstance(body, FileBody) else md5(body)
        sent = [*self.put_headers(headers, expect), ("content-md5", digest)]
        return Request("PutObject", "PUT", self.path(key), sent, body)

    def put_headers(self, headers: Mapping[str, str], expect: Expect) -> Headers:
        """What a PUT says beside its body."""
        return [*headers.items(), *condition(expect), *self._written]

    def copy(self, wanted: Copy) -> Request:
        """The server copies while the source's ETag holds and the key is as expected."""
        source = ("x-amz-copy-source", f"/{wanted.source_bucket}/{_quoted(wanted.source.key)}")
        unchanged = ("x-amz-copy-source-if-match", f'"{wanted.source.etag}"')
        kept = [(STORAGE_CLASS, wanted.storage_class)] if wanted.storage_class else []
        headers = [source, unchanged, *kept, *condition(wanted.expect), *self._written]
        return Request("CopyObject", "PUT", self.path(wanted.key), headers, moves=wanted.source.size)

    def delete(self, key: str, etag: str | None = None, version: str = "") -> Request:
        query = f"versionId={quote(version, safe='')}" if version else ""
        return Request("DeleteObject", "DELETE", self.path(key, query), [*_matching(etag), *self.payer])

    def delete_many(self, names: Iterable[Name]) -> Request:
        """At most 1,000 keys (or versions of them) that XML can hold; answers name those that remain."""
        rows = "".join(f"<Object><Key>{_escaped(key)}</Key>{_version(version)}</Object>" for key, version in names)
        body = f"<Delete>{rows}<Quiet>true</Quiet></Delete>".encode()
        sent = [("content-md5", md5(body)), ("content-type", "application/xml"), *self.payer]
        return Request("DeleteObjects", "POST", f"{self.bucket_path}?delete=", sent, body)

    def path(self, key: str, query: str = "") -> str:
        """Of a request for a key; `query` is percent-encoded."""
        return f"{self._base}{_quoted(key)}?{query}" if query else self._base + _quoted(key)


def _written(ref: BucketRef) -> Iterator[tuple[str, str]]:
    """What the destination's BucketRef asks of written objects."""
    if ref.storage_class:
        yield STORAGE_CLASS, ref.storage_class
    if ref.encryption.type in _ENCRYPTION:
        yield "x-amz-server-side-encryption", _ENCRYPTION[ref.encryption.type]
    if ref.encryption.kms_key_id:
        yield "x-amz-server-side-encryption-aws-kms-key-id", ref.encryption.kms_key_id


def _quoted(key: str) -> str:
    """Percent-encoded; few keys need it, and to see that costs a third of asking urllib."""
    return key if _PLAIN.fullmatch(key) else quote(key)


def _matching(etag: str | None) -> Headers:
    return [("if-match", f'"{etag}"')] if etag else []


def _escaped(key: str) -> str:
    return html.escape(key, quote=False).replace("\r", "&#13;") if _MARKUP.search(key) else key


def _version(version: str) -> str:
    return f"<VersionId>{_escaped(version)}</VersionId>" if version else ""


def condition(expect: Expect) -> Headers:
    """What a write expects to find, as headers."""
    if expect.absent:
        return [("if-none-match", "*")]
    if expect.etag:
        return [("if-match", expect.etag if expect.bare else f'"{expect.etag}"')]
    return []


def serialized(request: Request, headers: Headers, through: str = "") -> bytes:
    """A request's head as it goes over a connection; ItemError where a header would break its frame.

    `through`: scheme and host, where a proxy is to pass it on (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2).
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ItemError(f"{request.operation}: a header holds a control character: {_broken(headers)}")
    length = f"content-length: {len(request.body)}\r\n"
    head = f"{request.method} {through}{request.path} HTTP/1.1\r\n{lines}{length}{_AGENT}\r\n\r\n"
    return head.encode(errors="surrogateescape")


def _broken(headers: Headers) -> str:
    """The names of the headers that hold such a character; values may be secret."""
    return ", ".join(repr(name) for name, value in headers if _FRAME.search(name + value))


def refused(request: Request, answer: Response) -> bool:
    """Whether the answer is an error, which S3 may tell in the body of a 200 that it began too early.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    if answer.status not in SUCCESS:
        return True
    return request.operation != "GetObject" and _REFUSED.match(answer.body) is not None


def md5(body: bytes) -> str:
    """As the Content-MD5 header has it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def fits_xml(key: str) -> bool:
    """Whether DeleteObjects can name the key at all."""
    return FORBIDDEN.search(key) is None


def put_etag(answer: Response) -> str:
    """The ETag in the answer of PutObject or UploadPart; empty when it has none."""
    return bare(answer.header("etag"))


def copied_etag(answer: Response) -> str:
    """The ETag in the answer of CopyObject, UploadPartCopy or CompleteMultipartUpload; empty when it has none."""
    quoted = _element(answer.body, b"ETag")
    plain = quoted.replace(b"&#34;", b'"').replace(b"&quot;", b'"')  # as in nearly all answers
    return bare(html.unescape(plain.decode()))


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')


def error_of(body: bytes) -> tuple[str, str]:
    """Code and message of an error's body; empty where there is none (HEAD)."""
    code, message = (html.unescape(_element(body, name).decode(errors="replace")) for name in (b"Code", b"Message"))
    return code, message


def _element(body: bytes, name: bytes) -> bytes:
    """What stands in the first element of a name, in one pass over megabytes that somebody may have made for us."""
    start = body.find(b"<%b>" % name)
    end = body.find(b"</%b>" % name, start)
    return body[start + len(name) + 2 : end] if 0 <= start < end else b""


def refused_keys(body: bytes) -> Iterator[tuple[str, str, str, str]]:
    """What DeleteObjects left: key, version, code and message; UnreadableError."""
    for error in read(body).rows.get("Error", ()):
        key, version, code, message = (error.get(name, "") for name in ("Key", "VersionId", "Code", "Message"))
        yield key, version, code, message


def length(answer: Response) -> int:
    """Bytes of an object or a part, as HEAD tells; 0 where it does not."""
    return int(answer.header("content-length") or 0)


def dated(answer: Response) -> datetime | None:
    """The server's time; None where the answer has no Date header."""
    text = answer.header("date")
    return dates.http(text) if text else None


def tags(answer: Response) -> list[tuple[str, str]]:
    """The tags of an object; UnreadableError or KeyError when the answer is no such list."""
    found = read(answer.body, "TagSet")
    return [(row["Key"], row.get("Value", "")) for row in found.rows.get("Tag", ())]


def headed(key: str, answer: Response) -> Object:
    """An object as HEAD shows it."""
    return Object(
        key,
        bare(answer.header("etag")),
        length(answer),
        dates.http(answer.header("last-modified")),
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


def content_headers(answer: Response) -> dict[str, str]:
    """What must travel with an object's bytes; metadata may be empty, other headers mean nothing then."""
    lower = ((name.lower(), value) for name, value in answer.headers)
    return {name: value for name, value in lower if _travels(name) and (value or name.startswith(METADATA))}


def _travels(name: str) -> bool:
    return name in TRAVEL or name == TAG_COUNT or name.startswith(METADATA)
