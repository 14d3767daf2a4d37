"""Whoever answers other bytes than the ETag says is found out by who reads, and nothing is decided by what it says."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import OtherBytesError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.store import Object
from support.driver import condition
from support.lying import How, Lying, another_byte, cut_off, longer
from support.pipeline import PipelineLab, photo
from support.places import ROOT, Place, migrating
from support.proxy import Proxy, Request
from support.retention import Deployments, Retainer

MIB = 1 << 20
LIES = [another_byte, cut_off, longer]
SAYS = "answers other bytes than its ETag says"


def body(size: int) -> bytes:
    return secrets.token_bytes(1 << 10) * (size >> 10) + b"the end"


@contextmanager
def opened(root: Path, place: Place, through: str) -> Iterator[S3Store]:
    folder = root / "secrets" / "store"
    folder.mkdir(parents=True)
    for key, value in ROOT.secret().items():
        (folder / key).write_text(value)
    found = {"bucket": place.bucket, "endpoint": through, "credentials": {"secretRef": {"name": "store"}}}
    store = connect(BucketRef.model_validate(found), root, Pace(8, None, threading.Event()))
    yield store
    store.close()


def read(store: S3Store, entry: Object) -> bytes:
    with store.get(entry.key, etag=entry.etag, size=entry.size).body as found:
        return found.read()


def upload(place: Place, how: str) -> bytes:
    """An object `k`, small or too large for memory, put or uploaded in parts."""
    parts = {
        "small": [body(1 << 10)],
        "large": [body(9 * MIB)],
        "small in one part": [body(1 << 10)],
        "small in parts": [body(5 * MIB), body(1 * MIB)],
        "large in parts": [body(5 * MIB), body(5 * MIB), body(1 << 10)],
    }[how]
    parts[0] = parts[0][: 5 * MIB] if len(parts) > 1 else parts[0]
    parts[1:-1] = [part[: 5 * MIB] for part in parts[1:-1]]
    if "part" in how:
        place.put_in_parts("k", *parts)
    else:
        place.put("k", parts[0])
    return b"".join(parts)


@pytest.mark.parametrize("how", ["small", "large", "small in one part", "small in parts", "large in parts"])
@pytest.mark.parametrize("server", ["minio", "versitygw"])
def test_bytes_that_are_not_those_of_the_etag_are_refused(
    request: pytest.FixtureRequest, tmp_path: Path, server: str, how: str
) -> None:
    endpoint = request.getfixturevalue(server)
    place = Place(server, endpoint).make()
    data = upload(place, how)
    lying = Damaged("k")
    with Proxy(endpoint, body=lying) as proxy, opened(tmp_path, place, proxy.url) as store:
        (entry,) = store.list_objects("")
        assert read(store, entry) == data
        lying.lies = True
        with pytest.raises(OtherBytesError, match=SAYS):
            read(store, entry)
        assert lying.told


class Damaged:
    """Changes the first byte of each answer that is a part of an object, or the whole; ETag and length stay."""

    def __init__(self, key: str) -> None:
        self.key, self.lies, self.told = key, False, 0

    def __call__(self, request: Request, data: bytes) -> bytes:
        if request.method != "GET" or request.key != self.key or not self.lies:
            return data
        self.told += 1
        return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize("how", LIES)
def test_a_lie_of_one_moment_is_asked_again(minio: str, tmp_path: Path, how: How) -> None:
    place = Place("minio", minio).make()
    place.put("k", b"what is there")
    lying = Lying("k", how, times=1)
    with Proxy(minio, body=lying) as proxy, opened(tmp_path, place, proxy.url) as store:
        (entry,) = store.list_objects("")
        assert read(store, entry) == b"what is there"
    assert lying.told == 2


@pytest.mark.parametrize("how", LIES)
@pytest.mark.parametrize("checksum", ["CRC32", "SHA256", ""])
def test_where_an_etag_is_no_md5_a_checksum_tells_and_else_the_size(
    minio: str, tmp_path: Path, checksum: str, how: How
) -> None:
    """As of SSE-KMS: the proxy says that it is encrypted so."""
    place = Place("minio", minio).make()
    place.put("k", b"what is there", **({"ChecksumAlgorithm": checksum} if checksum else {}))
    lying = Lying("k", how, times=0)

    def headers(_: Request, found: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in found.items() if checksum or "x-amz-checksum" not in name.lower()}
        return kept | {"x-amz-server-side-encryption": "aws:kms"}

    with Proxy(minio, body=lying, headers=headers) as proxy, opened(tmp_path, place, proxy.url) as store:
        (entry,) = store.list_objects("")
        assert read(store, entry) == b"what is there"
        lying.times = 1 << 30
        if checksum or how is not another_byte:
            with pytest.raises(OtherBytesError, match=SAYS):
                read(store, entry)
        else:
            assert read(store, entry) != b"what is there"


def test_parts_of_different_sizes_are_taken_for_no_lie(minio: str, tmp_path: Path) -> None:
    """16 MiB of 6, 5 and 5 could be three parts of 6: only their sizes show that they are not."""
    place = Place("minio", minio).make()
    parts = [body(6 * MIB)[: 6 * MIB], body(5 * MIB)[: 5 * MIB], body(5 * MIB)[: 5 * MIB]]
    place.put_in_parts("k", *parts)
    with opened(tmp_path, place, minio) as store:
        (entry,) = store.list_objects("")
        assert read(store, entry) == b"".join(parts)


def streamed(
    tmp_path: Path, minio: str, lying: Lying, put: Callable[[Place], object], **changes: Any
) -> tuple[dict[str, Any], Place, Place]:
    """What a migration ends with whose source is read through somebody who lies about one object."""
    with Proxy(minio, body=lying) as proxy:
        source, destination = Place("minio", minio, through=proxy.url).make(), Place("minio", minio).make()
        source.put("image/one")
        put(source)
        with migrating(tmp_path, source, destination, **changes) as driver:
            status = driver.finish(180)
    return status, source, destination


@pytest.mark.parametrize(("how", "verify"), [(another_byte, "ETag"), (another_byte, "Content"), (cut_off, "ETag")])
def test_an_original_that_is_answered_otherwise_than_its_etag_says_stays(
    minio: str, tmp_path: Path, how: How, verify: str
) -> None:
    """Copied and read again for the comparison, it was the same lie twice."""
    lying = Lying("image/two", how)
    status, source, _ = streamed(tmp_path, minio, lying, lambda place: place.put("image/two"), verify=verify)
    require_failed(status, source, lying)


def test_so_does_one_that_goes_in_parts(minio: str, tmp_path: Path) -> None:
    """Each of its parts is a request of its own, with its own range."""
    lying, data = Damaged("image/two"), body(17 * MIB)
    lying.lies = True
    with Proxy(minio, body=lying) as proxy:
        source, destination = Place("minio", minio, through=proxy.url).make(), Place("minio", minio).make()
        source.put("image/one")
        source.put("image/two", data)
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish(180)
    require_failed(status, source, lying)
    assert not destination.uploads()
    assert not destination.keys("avatar/") - {"one"}, "nothing of it is made an object"


def require_failed(status: dict[str, Any], source: Place, lying: Lying | Damaged) -> None:
    assert lying.told > 1
    assert condition(status, "Failed"), status
    assert (status["outcomes"]["failed"], status["outcomes"]["moved"]) == (1, 1), status
    assert source.keys("image/") == {"two"}
    assert any(sample["key"] == "two" and SAYS in sample["message"] for sample in status["samples"]), status


@pytest.mark.parametrize("how", LIES)
def test_a_picture_that_is_answered_otherwise_is_neither_cleaned_nor_refused(
    pipeline_lab: PipelineLab, how: How
) -> None:
    pipeline_lab.put("a.jpg", photo("a"))
    pipeline_lab.put("b.jpg", photo("b"))
    with Proxy(pipeline_lab.endpoint, body=Lying("a.jpg", how)) as proxy:
        pipeline_lab.through = proxy.url
        result = pipeline_lab.sweep()
    assert (result.counts["processed"], result.counts["failed"]) == (1, 1), result
    assert SAYS in str(result.samples)
    assert pipeline_lab.keys(pipeline_lab.b) == {"b.jpg"}
    assert not pipeline_lab.keys(pipeline_lab.q)


def test_a_reference_that_is_answered_otherwise_deletes_nothing(
    deployments: Deployments, retain: Retainer, minio: str
) -> None:
    for name in ("a", "b", "c"):
        deployments.deploy(name, days=90)
    deployments.put("latest.json", body=b"/a/ and /b/")
    before = deployments.keys()
    with Proxy(minio, body=Lying("latest.json", cut_off)) as proxy:
        code, result = retain.attempt(place={"endpoint": proxy.url}, keep={"last": 1, "referencedBy": ["latest.json"]})
    assert (code, result.reason) == (names.EXIT_USER, "ReferenceInvalid"), result
    assert SAYS in result.message
    assert deployments.keys() == before
