"""A store in memory, for tests: the same protocol, the same errors, the same order as a server's."""

from __future__ import annotations

import hashlib
import io
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError, WorkerError
from bucketops_jobs.s3 import listing
from bucketops_jobs.s3.store import ANYTHING, LONGEST_KEY, TOO_LATE, Content, Copy, Described, Expect, Object, Page


@dataclass(frozen=True)
class _Kept:
    entry: Object
    data: bytes
    headers: Mapping[str, str]


@dataclass
class FakeServer:
    """Buckets by name."""

    buckets: dict[str, dict[str, _Kept]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def store(self, bucket: str) -> FakeStore:
        """A bucket, made if it is not there."""
        with self.lock:
            self.buckets.setdefault(bucket, {})
        return FakeStore(self, bucket)


class FakeStore:
    """One bucket of a fake server."""

    def __init__(self, server: FakeServer, bucket: str) -> None:
        self._server, self._bucket = server, bucket

    @property
    def bucket(self) -> str:
        return self._bucket

    @property
    def _objects(self) -> dict[str, _Kept]:
        return self._server.buckets[self._bucket]

    @property
    def bulk(self) -> bool:
        return True

    def versioning(self) -> str:
        return "Off"

    def now(self, prefix: str) -> datetime:  # noqa: ARG002 - of the real store
        return datetime.now(UTC)

    def close(self) -> None:
        """Nothing is held open."""

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        beyond = token if token is not None else after
        with self._server.lock:
            keys = sorted((key for key in self._objects if key.startswith(prefix) and key > beyond), key=str.encode)
            objects = [self._objects[key].entry for key in keys[:limit]]
        return Page(objects, objects[-1].key if len(keys) > limit else None)

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        return listing.list_objects(self, prefix, after=after, until=until)

    def keys(self, prefix: str) -> Iterator[str]:
        return (entry.key for page in listing.pages(self, prefix) for entry in page.objects)

    def head(self, key: str) -> Object | None:
        kept = self._objects.get(key)
        return kept.entry if kept else None

    def describe(self, key: str) -> Described | None:
        kept = self._objects.get(key)
        return Described(kept.entry, kept.headers, kept.entry.etag) if kept else None

    def get(self, key: str, *, etag: str | None = None, size: int | None = None) -> Content:  # noqa: ARG002 - it is right
        kept = self._required(key)
        if etag is not None and kept.entry.etag != etag:
            raise PreconditionFailedError(f"get {key!r} ({self.bucket}): 412")
        return Content(kept.entry.etag, kept.entry.size, io.BytesIO(kept.data), kept.headers)

    def checksums(self, key: str, etag: str) -> Mapping[str, str]:
        self.get(key, etag=etag).body.close()
        return {}

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        if not 0 < len(key.encode()) <= LONGEST_KEY:
            raise ItemError(f"put {key[:80]!r} ({self.bucket}): a key is 1 to {LONGEST_KEY} bytes long")
        data = body if isinstance(body, bytes) else _whole(body)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        entry = Object(key, etag, len(data), datetime.now(UTC))
        with self._server.lock:
            self._require(key, expect)
            self._objects[key] = _Kept(entry, data, dict(headers))
        return etag

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        with self._server.lock:
            kept = self._server.store(source_bucket)._required(source.key)  # noqa: SLF001 - a store like this one
            if kept.entry.etag != source.etag:
                raise PreconditionFailedError(f"copy {source.key!r} ({source_bucket}): 412")
            return self.put(key, kept.data, kept.headers, expect)

    def copies(self, wanted: Iterable[Copy]) -> Iterator[tuple[Copy, str | WorkerError]]:
        for one in wanted:
            try:
                yield one, self.copy(one.source_bucket, one.source, one.key, one.expect)
            except ItemError as error:
                yield one, error

    def delete(
        self, objects: Iterable[Object], *, conditional: bool, until: float = math.inf
    ) -> dict[str, WorkerError]:
        remaining: dict[str, WorkerError] = {}
        if time.monotonic() > until:
            return {entry.key: PreconditionFailedError(TOO_LATE) for entry in objects}
        for entry in objects:
            with self._server.lock:
                kept = self._objects.get(entry.key)
                if kept is not None and conditional and kept.entry.etag != entry.etag:
                    remaining[entry.key] = PreconditionFailedError(f"delete {entry.key!r} ({self.bucket}): 412")
                else:
                    self._objects.pop(entry.key, None)
        return remaining

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._objects.pop(key, None)

    def _required(self, key: str) -> _Kept:
        kept = self._objects.get(key)
        if kept is None:
            raise NotFoundError(f"get {key!r} ({self.bucket}): 404")
        return kept

    def _require(self, key: str, expect: Expect) -> None:
        kept = self._objects.get(key)
        found = kept.entry.etag if kept else None
        if (expect.absent and kept is not None) or (expect.etag is not None and found != expect.etag):
            raise PreconditionFailedError(f"put {key!r} ({self.bucket}): 412")


def _whole(body: BinaryIO) -> bytes:
    body.seek(0)
    return body.read()
