"""Scratch objects go, whatever happens; and the first error is the one that is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import pytest

from bucketops_jobs.errors import DeniedError, TransientError, UserError
from bucketops_jobs.s3.capabilities import classes_taken, probe, probe_source
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.places import one_place
from bucketops_jobs.s3.store import ANYTHING, Expect, Object

FOLDER = ".bucketops/scratch/"
CALLS = 80
"""More than any of the probes makes."""


class Failing(FakeStore):
    """Fails at its n-th call (but at no deletion), and at every deletion if it is so told."""

    def __init__(self, server: FakeServer, bucket: str, at: int = 0, *, keeps: bool = False) -> None:
        server.store(bucket)
        super().__init__(server, bucket)
        self._left, self._keeps, self.failed = at, keeps, False

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.failed = True
            raise TransientError("503 for a while")

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        self._count()
        return super().put(key, body, headers, expect)

    def head(self, key: str) -> Object | None:
        self._count()
        return super().head(key)

    def get(self, key: str, *, etag: str | None = None) -> Any:
        self._count()
        return super().get(key, etag=etag)

    def copy(self, source_bucket: str, source: Object, key: str, expect: Expect = ANYTHING) -> str:
        self._count()
        return super().copy(source_bucket, source, key, expect)

    def remove(self, keys: Iterable[str]) -> None:
        if self._keeps:
            raise DeniedError("delete: 403")
        super().remove(keys)


PROBES = {
    "probe": lambda store: probe(store, FOLDER),
    "probe_source": lambda store: probe_source(store, FOLDER),
    "classes_taken": lambda store: classes_taken(store, FOLDER, ["STANDARD", "STANDARD_IA"]),
    "one_place": lambda store: one_place(store, store),
}


@pytest.mark.parametrize("name", PROBES)
def test_no_scratch_object_stays_wherever_a_probe_fails(name: str) -> None:
    for at in range(1, CALLS):
        server = FakeServer()
        store = Failing(server, "bucket", at)
        with suppress(TransientError):
            PROBES[name](store)
        assert list(server.buckets["bucket"]) == [], f"left behind by a failure at call {at}"
        if not store.failed:
            return
    raise AssertionError("the probe makes more calls than the test tries")


@pytest.mark.parametrize("name", PROBES)
def test_the_first_error_is_told_and_not_that_of_cleaning_up(name: str) -> None:
    with pytest.raises(TransientError, match="503"):
        PROBES[name](Failing(FakeServer(), "bucket", at=1, keeps=True))


def test_who_may_not_write_hears_of_that_though_nothing_can_be_deleted() -> None:
    class Refusing(Failing):
        def put(self, *_: object) -> str:
            raise DeniedError("put: 403")

    with pytest.raises(UserError, match="put: 403: allow s3:GetObject and s3:PutObject"):
        one_place(FakeServer().store("bucket"), Refusing(FakeServer(), "bucket", keeps=True))


@pytest.mark.parametrize("name", PROBES)
def test_what_cannot_be_deleted_is_an_error_where_all_went_well(name: str) -> None:
    with pytest.raises(DeniedError, match="delete: 403"):
        PROBES[name](Failing(FakeServer(), "bucket", keeps=True))
