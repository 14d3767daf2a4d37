"""Objects' bytes from one bucket, compared with what its server says of them: in memory, as a stream, or in parts."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import BinaryIO, Protocol, TypeVar

from bucketops_jobs.errors import (
    DeniedError,
    ItemError,
    NotFoundError,
    OtherBytesError,
    PreconditionFailedError,
    TooLargeError,
)
from bucketops_jobs.s3 import integrity, reading, wire
from bucketops_jobs.s3.http import itself
from bucketops_jobs.s3.integrity import Check, Judgement, Promise, promised
from bucketops_jobs.s3.store import Content, Object

T = TypeVar("T")


class Ask(Protocol):
    """As S3Store.ask."""

    def __call__(self, request: wire.Request, what: str, read: Callable[[wire.Response], T], *, cost: int = 0) -> T:
        """Return what `read` makes of the answer."""


class Bodies:
    """Of one bucket. Safe for threads."""

    def __init__(self, bucket: str, calls: wire.Calls, ask: Ask) -> None:
        self._bucket, self._calls, self._ask = bucket, calls, ask
        self._tells_checksums = True
        """Whether the server takes a question for checksums, as far as it has been asked."""

    def get(self, key: str, etag: str | None, size: int | None) -> Content:
        """As Store.get, without tags. A body that is wrong is asked for once more: most damage is of one moment."""
        try:
            return self._whole(key, etag, size)
        except OtherBytesError:
            return self._whole(key, etag, size)
        except TooLargeError:
            return self._stream(key, etag, size)

    def _whole(self, key: str, etag: str | None, size: int | None) -> Content:
        body, promise, headers = self._ask(self._calls.get(key, etag), f"get {key!r}", partial(_got, size))
        self._require_etag(key, promise.etag, etag)
        self._require_right(key, promise, body)
        return Content(promise.etag, len(body), io.BytesIO(body), headers, promise.etag if promise.plain else "")

    def _require_etag(self, key: str, found: str, expected: str | None) -> None:
        """Of a server that ignores the condition."""
        if expected is not None and found != expected:
            raise PreconditionFailedError(f"get {key!r} ({self._bucket}): its ETag is {found}, not {expected}")

    def _require_right(self, key: str, promise: Promise, body: bytes) -> None:
        known = self._known_better(key, promise, len(body))
        check = integrity.judged(known, body)
        if check.judgement is not Judgement.WRONG:
            return
        if known.plain and (checksums := self._checksums(key, promise.etag)):  # the ETag may be no MD5, untold
            other = integrity.judged(replace(known, made_of_md5s=False, checksums=checksums), body)
            if other.judgement is Judgement.RIGHT:
                return
        raise self._other_bytes(key, check)

    def _stream(self, key: str, etag: str | None, size: int | None) -> Content:
        """One that is too large for memory, all of it of one ETag."""
        entry, promise, headers = self._ask(self._calls.head(key, etag), f"head {key!r}", partial(_headed, key))
        self._require_etag(key, entry.etag, etag)
        promise = promise if size is None else replace(promise, size=size)
        check = Check(self._known_better(key, promise, entry.size))

        def took(data: bytes, last: bool) -> None:
            check.update(data)
            if last:
                self.require(entry, check)

        body = reading.stream(partial(self.fetch, entry), entry.size, took)
        return Content(entry.etag, entry.size, body, headers, entry.etag if promise.plain else "")

    def check(self, entry: Object) -> Check:
        """Return what takes the bytes of an object, from its first to its last, and ends in `require`."""
        request = self._calls.head(entry.key, entry.etag)
        _, promise, _ = self._ask(request, f"head {entry.key!r}", partial(_headed, entry.key))
        return Check(self._known_better(entry.key, replace(promise, etag=entry.etag, size=entry.size), entry.size))

    def require(self, entry: Object, check: Check) -> None:
        """OtherBytesError when what has been read of an object is not what its server says."""
        if check.judgement is Judgement.WRONG and not self._of_unequal_parts(entry.key, check.promise):
            raise self._other_bytes(entry.key, check)

    def _known_better(self, key: str, promise: Promise, size: int) -> Promise:
        """The promise with the size of its parts, or with checksums, where its ETag alone compares nothing."""
        if promise.plain or promise.parts == 1 or not size:
            return promise
        if promise.parts:
            first = self.first_part(key, promise.etag)
            if integrity.fits(size, promise.parts, first):
                return replace(promise, part=first)
        return replace(promise, checksums=promise.checksums or self._checksums(key, promise.etag))

    def _of_unequal_parts(self, key: str, promise: Promise) -> bool:
        """Whether the ETag was compared as that of equal parts, and is of others."""
        if not promise.part or promise.parts <= 2:  # noqa: PLR2004 - the first one and the rest
            return False
        sizes = (self.first_part(key, promise.etag, number) for number in range(2, promise.parts))
        return any(size != promise.part for size in sizes)

    def _other_bytes(self, key: str, check: Check) -> OtherBytesError:
        found, promise = f" with {check.found}" if check.found else "", check.promise
        wanted = f"{promise.size} bytes with {promise.etag}" if promise.size is not None else promise.etag
        return OtherBytesError(
            f"get {key!r} ({self._bucket}): the server answers other bytes than its ETag says: {check.size} bytes"
            f"{found} came for {wanted}: a proxy or gateway on the way, or a disk, changes them; read it by another "
            "way, mend what changes it or write the object anew, then set a new trigger"
        )

    def checksums(self, key: str, etag: str) -> Mapping[str, str]:
        """Of what the server has; a server that refuses the very question (Backblaze B2: 400) is not asked again."""
        if not self._tells_checksums:
            return {}
        try:
            request = self._calls.head(key, etag, checksums=True)
            return self._ask(request, f"checksums of {key!r}", wire.whole_checksums)
        except (NotFoundError, PreconditionFailedError, DeniedError):
            raise
        except ItemError:
            self._ask(self._calls.head(key, etag), f"head {key!r}", itself)  # raises where it is the object's own fault
            self._tells_checksums = False
            return {}

    def _checksums(self, key: str, etag: str) -> Mapping[str, str]:
        """Those that Python can compute; none where the right to ask is missing."""
        try:
            found = self.checksums(key, etag)
        except DeniedError:
            return {}
        return {name: value for name, value in found.items() if name in integrity.COMPUTABLE}

    def first_part(self, key: str, etag: str, number: int = 1) -> int:
        """Bytes of the first (or another) part of the upload that made an object; 0 where the server does not tell."""
        try:
            return self._ask(self._calls.head(key, etag, part=number), f"head {key!r}", wire.length)
        except ItemError:
            return 0

    def read_part(self, entry: Object, first: int, size: int, in_memory: int) -> tuple[BinaryIO, str]:
        """Some bytes of an object, in memory or in a file, at their beginning; and their MD5 in base64."""
        return reading.spooled(partial(self.fetch, entry), first, size, in_memory)

    def fetch(self, entry: Object, first: int, size: int) -> bytes:
        """Some bytes of an object as it is listed."""
        request = self._calls.get(entry.key, entry.etag, (first, size))
        what = f"get {entry.key!r} from byte {first} on"
        return self._ask(request, what, reading.exactly(entry, first, size), cost=size)


def _got(size: int | None, answer: wire.Response) -> tuple[bytes, Promise, Mapping[str, str]]:
    """What the answer to a GET holds."""
    return answer.body, promised(answer, size), wire.content_headers(answer)


def _headed(key: str, answer: wire.Response) -> tuple[Object, Promise, Mapping[str, str]]:
    """What the answer to a HEAD holds."""
    entry = wire.headed(key, answer)
    return entry, promised(answer, entry.size), wire.content_headers(answer)
