"""Whether an object's bytes are those that its server says they are, by ETag, checksum or size. Pure.

A proxy may answer others, a gateway may cut them off. Who reads them twice then reads the same lie twice, so what was
read is compared with what HEAD or a listing says of it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from bucketops_jobs.s3 import wire
from bucketops_jobs.s3.store import Described
from bucketops_jobs.s3.wire import Response

_PLAIN = re.compile("[0-9a-f]{32}")
_IN_PARTS = re.compile("[0-9a-f]{32}-([1-9][0-9]{0,4})")
_NEVER_AN_MD5 = frozenset({"0" * 32, f"{'0' * 32}-1"})
"""What MinIO shows of files that were there before it."""
_CUSTOMER = "x-amz-server-side-encryption-customer-algorithm"
_MADE_OF_MD5S = frozenset({"", "AES256"})
"""Encryption whose ETags are: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html."""


class Judgement(Enum):
    """What a comparison shows."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """There is nothing to compare by but the size, which is right."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a server says of an object beside its bytes."""

    etag: str
    made_of_md5s: bool = True
    """Whether the ETag is, as far as the server tells."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Of the whole content, by algorithm, in base64."""
    size: int | None = None
    """Bytes; None where nobody has said."""
    part: int = 0
    """Bytes of each part but the last of the upload that made it; 0 where that is not known."""

    @property
    def plain(self) -> bool:
        """Whether the ETag is the content's MD5."""
        return self.made_of_md5s and _PLAIN.fullmatch(self.etag) is not None and self.etag not in _NEVER_AN_MD5

    @property
    def parts(self) -> int:
        """How many parts' MD5s the ETag is made of; 0 where it is not."""
        found = _IN_PARTS.fullmatch(self.etag)
        return int(found[1]) if found and self.made_of_md5s and self.etag not in _NEVER_AN_MD5 else 0


def promised(answer: Response, size: int | None = None) -> Promise:
    """Return what the answer to a GET or a HEAD says of its object; `size` in bytes where that has been said."""
    encrypted = answer.header(wire.ENCRYPTION)
    plain = encrypted in _MADE_OF_MD5S and not answer.header(_CUSTOMER)
    return Promise(wire.bare(answer.header("etag")), plain, wire.whole_checksums(answer), size)


def described(key: str, answer: Response) -> Described:
    """Return an object and its headers as HEAD shows them."""
    promise = promised(answer)
    return Described(wire.headed(key, answer), wire.content_headers(answer), promise.etag if promise.plain else "")


def fits(size: int, parts: int, first: int) -> bool:
    """Whether an object can be made of so many parts that are all but the last as long as the first one."""
    return parts > 0 and (parts - 1) * first < size <= parts * first


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    """As S3 has it: four bytes, the highest first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _md5() -> _Hash:
    return hashlib.md5(usedforsecurity=False)


COMPUTABLE: Mapping[str, Callable[[], _Hash]] = {
    "sha256": hashlib.sha256,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "crc32": _Crc32,
}
"""Checksums that Python's library has."""


class Check:
    """Takes the bytes of an object as they come; knows at the end whether they are what was promised."""

    def __init__(self, promise: Promise) -> None:
        self.promise = promise
        self.size = 0
        """Bytes that have come."""
        self._known = next((name for name in COMPUTABLE if name in promise.checksums), "")
        self._in_parts = promise.parts == 1 or bool(promise.parts and promise.part)
        self._whole: _Hash | None = None
        if promise.plain:
            self._whole = _md5()
        elif not self._in_parts and self._known:
            self._whole = COMPUTABLE[self._known]()
        self._left = self._each = promise.part if promise.parts > 1 else 0
        self._part, self._ended = _md5(), list[bytes]()

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self.size += len(data)
        if self._whole is not None:
            self._whole.update(data)
        elif self._in_parts:
            self._add(memoryview(data))

    def _add(self, data: memoryview) -> None:
        while self._each and len(data) > self._left:
            self._part.update(data[: self._left])
            self._ended.append(self._part.digest())
            data, self._left, self._part = data[self._left :], self._each, _md5()
        self._part.update(data)
        self._left -= len(data)

    @property
    def judgement(self) -> Judgement:
        """Of all bytes, once they have come."""
        promise = self.promise
        if promise.size is not None and promise.size != self.size:
            return Judgement.WRONG
        if not (self._whole or self._in_parts):
            return Judgement.UNKNOWN
        wanted = promise.etag if promise.plain or self._in_parts else promise.checksums[self._known]
        return Judgement.RIGHT if self.found == wanted else Judgement.WRONG

    @property
    def found(self) -> str:
        """The ETag or the checksum of the bytes that came; empty where there is none to compare with."""
        if self._whole is not None:
            digest = self._whole.digest()
            return digest.hex() if self.promise.plain else base64.b64encode(digest).decode()
        if not self._in_parts:
            return ""
        joined = b"".join((*self._ended, self._part.digest()))
        return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(self._ended) + 1}"


def judged(promise: Promise, body: bytes) -> Check:
    """Return the check of a whole body."""
    check = Check(promise)
    check.update(body)
    return check
