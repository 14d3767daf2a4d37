"""The store protocol: the few calls that every kind lives on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Object:
    """An object as a listing shows it. The ETag stands without quotes; the size is in bytes."""

    key: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """An object's bytes and what must travel with them; close `body` after use."""

    etag: str
    size: int
    body: BinaryIO
    headers: Mapping[str, object] = field(default_factory=dict)
    """boto3 names: ContentType, CacheControl, …, Metadata, Tagging."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What a write expects to find at its key: nothing (`absent`), one ETag, or anything (neither)."""

    absent: bool = False
    etag: str | None = None


ANYTHING = Expect()
ABSENT = Expect(absent=True)


class Store(Protocol):
    """One bucket. Keys are opaque; errors are those of bucketops_jobs.errors."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        """Objects below `prefix` in key order, strictly after `after` and up to `until`.

        `after` is exclusive, `until` inclusive. Keys under `.bucketops/` are left out, whatever the prefix.
        """

    def head(self, key: str) -> Object | None:
        """The object as it is now, or None."""

    def get(self, key: str, *, etag: str | None = None) -> Content:
        """Its content; PreconditionFailedError when its ETag is no longer `etag`."""

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, object], expect: Expect = ANYTHING) -> str:
        """Write and return the ETag; PreconditionFailedError when the key is not as expected."""

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        """Copy on the server if the source's ETag still holds, and return the new ETag."""

    def delete(self, objects: Iterable[Object], *, conditional: bool) -> dict[str, Exception]:
        """Delete; the answer has the keys that remain, with why. `conditional`: only while the ETag still holds.

        TransientError: the same may succeed later. DeniedError: the store refuses it.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix` in order, records included."""

    def remove(self, keys: Iterable[str]) -> None:
        """Delete records of ours by key."""

    def close(self) -> None:
        """Give back all connections."""
