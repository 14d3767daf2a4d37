"""Whether two objects are equal, and how one is carried over."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest

from bucketops_jobs.errors import PreconditionFailedError
from bucketops_jobs.migration import content
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.store import ABSENT, Content, Expect, Object


class Foreign(FakeStore):
    """A store whose ETags say nothing of the content, as with SSE-KMS."""

    reads = 0

    def head(self, key: str) -> Object | None:
        found = super().head(key)
        return Object(found.key, f"{found.etag}-2", found.size, found.modified) if found else None

    def get(self, key: str, *, etag: str | None = None, size: int | None = None) -> Content:
        Foreign.reads += 1
        return super().get(key, etag=etag.removesuffix("-2") if etag else None, size=size)


def pair(one: bytes, other: bytes, **how: Any) -> bool:
    server = FakeServer()
    source, destination = Foreign(server, "source"), Foreign(server, "destination")
    if not how.pop("foreign", True):
        source, destination = FakeStore(server, "source"), FakeStore(server, "destination")  # type: ignore[assignment]
    for store, data in ((source, one), (destination, other)):
        server.store(store.bucket).put("k", data, {})
    found = source.head("k"), destination.head("k")
    assert found[0] is not None
    assert found[1] is not None
    return content.same(source, found[0], destination, found[1], **({"by_bytes": False} | how))


def test_equal_plain_etags_are_equal_content() -> None:
    Foreign.reads = 0
    assert pair(b"one", b"one", foreign=False)
    assert Foreign.reads == 0


def test_etags_that_cannot_be_compared_are_settled_by_the_bytes() -> None:
    assert pair(b"one", b"one")
    assert not pair(b"one", b"two")


def test_size_alone_never_decides() -> None:
    assert not pair(b"one", b"two", foreign=False)


def test_different_sizes_are_different_content_without_a_read() -> None:
    Foreign.reads = 0
    assert not pair(b"one", b"three")
    assert Foreign.reads == 0


def test_content_compares_the_bytes_whatever_the_etags_say() -> None:
    assert pair(b"one", b"one", foreign=False, by_bytes=True)


@pytest.fixture
def stores() -> tuple[FakeStore, FakeStore, Object]:
    server = FakeServer()
    source, destination = server.store("source"), server.store("destination")
    source.put("k", b"picture", {"content-type": "image/png", "x-amz-meta-a": "b"})
    entry = source.head("k")
    assert entry is not None
    return source, destination, entry


def test_what_is_carried_arrives_with_its_headers(stores: tuple[FakeStore, FakeStore, Object]) -> None:
    source, destination, entry = stores
    copied = content.carry(source, entry, destination, "n", ABSENT)
    found = destination.get("n", etag=copied.etag)
    assert copied == content.Copied(entry.etag, proof=entry.etag)
    assert found.body.read() == b"picture"
    assert found.headers == {"content-type": "image/png", "x-amz-meta-a": "b"}


def test_a_source_that_changed_is_not_carried(stores: tuple[FakeStore, FakeStore, Object]) -> None:
    source, destination, entry = stores
    source.put("k", b"newer", {})
    with pytest.raises(PreconditionFailedError):
        content.carry(source, entry, destination, "n", ABSENT)
    assert destination.head("n") is None


@pytest.mark.parametrize("expect", [ABSENT, Expect(etag="0" * 32)])
def test_what_somebody_else_wrote_is_not_overwritten(
    stores: tuple[FakeStore, FakeStore, Object], expect: Expect
) -> None:
    source, destination, entry = stores
    destination.put("n", b"somebody else's", {})
    with pytest.raises(PreconditionFailedError):
        content.carry(source, entry, destination, "n", expect)
    assert destination.get("n").body.read() == b"somebody else's"


def test_a_retried_put_knows_its_own_object(stores: tuple[FakeStore, FakeStore, Object]) -> None:
    """The first answer was lost: the object that stands in the way is the one we wrote."""
    source, destination, entry = stores
    destination.put("n", io.BytesIO(b"picture"), {})
    assert content.carry(source, entry, destination, "n", ABSENT).etag == entry.etag


class Summed(Foreign):
    """ETags say nothing, checksums do."""

    known: Mapping[str, str] = {}

    def checksums(self, key: str, etag: str) -> Mapping[str, str]:
        assert (key, etag.endswith("-2")) == ("k", True)
        return self.known


@pytest.mark.parametrize(
    ("one", "other", "equal", "reads"),
    [
        pytest.param({"crc64nvme": "a"}, {"crc64nvme": "a"}, True, 0, id="equal checksums"),
        pytest.param({"crc64nvme": "a"}, {"crc64nvme": "b"}, False, 0, id="different checksums"),
        pytest.param({"sha256": "a", "crc32": "b"}, {"sha256": "a", "crc32": "c"}, False, 0, id="one of two differs"),
        pytest.param({"sha256": "a"}, {"crc32": "a"}, True, 2, id="nothing in common: the bytes"),
        pytest.param({}, {}, True, 2, id="none: the bytes"),
    ],
)
def test_checksums_decide_before_bytes_are_read(
    one: dict[str, str], other: dict[str, str], *, equal: bool, reads: int
) -> None:
    server = FakeServer()
    source, destination = Summed(server, "source"), Summed(server, "destination")
    source.known, destination.known = one, other
    found = []
    for store in (source, destination):
        server.store(store.bucket).put("k", b"equal", {})
        entry = store.head("k")
        assert entry is not None
        found.append(entry)
    found[1] = found[1]._replace(etag=f"{'1' * 32}-2")
    Foreign.reads = 0
    if not reads:
        assert content.same(source, found[0], destination, found[1], by_bytes=False) is equal
        assert Foreign.reads == 0
    else:
        with pytest.raises(PreconditionFailedError):  # it reads, and the invented ETag is not there
            content.same(source, found[0], destination, found[1], by_bytes=False)


def test_what_the_destination_loses_is_named_and_not_sent() -> None:
    headers = {"content-type": "a", "x-amz-meta-who": "me", "x-amz-tagging": "b=c", "expires": "d"}
    assert content.kept(headers, ()) == (headers, ())
    lost = ("expires", "x-amz-meta-probe", "x-amz-tagging")
    assert content.kept(headers, lost) == ({"content-type": "a"}, ("expires", "x-amz-meta-who", "tags"))
