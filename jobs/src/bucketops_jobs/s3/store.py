"""The store protocol: the few calls that every kind lives on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

from bucketops_jobs.errors import ItemError, WorkerError

LONGEST_KEY = 1024
"""Bytes of UTF-8 that a key may have: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""
TOO_LATE = "the check took too long: it is made anew"
"""Why a deletion was not sent after its time."""


class Object(NamedTuple):
    """An object as a listing shows it. The ETag stands without quotes; the size is in bytes.

    A tuple, because listings make millions of them.
    """

    key: str
    etag: str
    size: int
    modified: datetime
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of ListObjectsV2."""

    objects: list[Object]
    token: str | None
    """Goes on after this page; None at the end."""


@dataclass(frozen=True, slots=True)
class Content:
    """An object's bytes and what must travel with them; close `body` after use."""

    etag: str
    size: int
    body: BinaryIO
    headers: Mapping[str, str] = field(default_factory=dict)
    """As HTTP has them, in lower case: content-type, cache-control, …, x-amz-meta-*, x-amz-tagging."""
    md5: str = ""
    """What its bytes have in any case (to read others raises OtherBytesError), in hexadecimal; empty: nobody knows."""


class Described(NamedTuple):
    """An object without its bytes: what HEAD shows. `headers` as in Content, without tags."""

    object: Object
    headers: Mapping[str, str]
    md5: str = ""
    """The ETag where it is the content's MD5, as far as the server tells; else empty."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What a write expects to find at its key: nothing (`absent`), one ETag, or anything (neither)."""

    absent: bool = False
    etag: str | None = None
    bare: bool = False
    """Whether the ETag goes without quotes, which some servers (Ceph RGW) understand alone."""

    def __post_init__(self) -> None:
        if self.etag == "":
            raise ItemError("the server shows no ETag, so nothing can be written on the condition that it is unchanged")


TAGGING = "x-amz-tagging"
"""The header of a PUT that holds tags as a query string; a `Content` has them under the same name."""
STORAGE_CLASS = "x-amz-storage-class"
"""The header of a PUT that names the storage class."""
ANYTHING = Expect()
ABSENT = Expect(absent=True)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy on the server, made only if the source's ETag still holds and the key is as expected."""

    source_bucket: str
    source: Object
    key: str
    expect: Expect = ANYTHING
    storage_class: str | None = None
    """Of the copy, where the destination's own settings name none."""


class Store(Protocol):
    """One bucket. Keys are opaque; errors are those of bucketops_jobs.errors."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        """At most `limit` objects below `prefix` in key order, records included.

        Strictly after the key `after`, or where `token` goes on: never both (versitygw lets `after` win).
        """

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        """Objects below `prefix` in key order, strictly after `after` and up to `until`.

        `after` is exclusive, `until` inclusive. Keys under `.bucketops/` are left out, whatever the prefix.
        """

    def head(self, key: str) -> Object | None:
        """The object as it is now, or None."""

    def describe(self, key: str) -> Described | None:
        """The same with its headers."""

    def get(self, key: str, *, etag: str | None = None, size: int | None = None) -> Content:
        """Its content; PreconditionFailedError when its ETag is no longer `etag`.

        OtherBytesError, now or at the last byte that is read, when the bytes are not those that the ETag or a checksum
        says, or not as many as a listing has said (`size`).
        """

    def checksums(self, key: str, etag: str) -> Mapping[str, str]:
        """Checksums of the whole content by algorithm, as far as the server has any; PreconditionFailedError as get."""

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        """Write and return the ETag; PreconditionFailedError when the key is not as expected."""

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        """Copy on the server if the source's ETag still holds, and return the new ETag; 5 GiB at most."""

    def copies(self, wanted: Iterable[Copy]) -> Iterator[tuple[Copy, str | WorkerError]]:
        """Copy many, as many at once as the pace allows: the new ETags, or what went wrong, as they arrive."""

    def delete(
        self, objects: Iterable[Object], *, conditional: bool, until: float = math.inf
    ) -> dict[str, WorkerError]:
        """Delete as they come, many at once; the answer has the keys that remain, with why.

        `conditional`: only while the ETag still holds. `until`: no request is sent after this time of the monotonic
        clock, be it the first try or another; such a key remains with PreconditionFailedError.

        TransientError: the same may succeed later. DeniedError: the store refuses it.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix` in order, records included."""

    def remove(self, keys: Iterable[str]) -> None:
        """Delete records of ours by key."""

    @property
    def bulk(self) -> bool:
        """Whether the server can delete many keys by one request, as far as it has been asked to."""

    def versioning(self) -> str:
        """Enabled, Suspended or Off; DeniedError where the right to know is missing."""

    def close(self) -> None:
        """Give back all connections."""
