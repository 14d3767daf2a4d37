"""Objects too large for one request: in parts, by the server or streamed, resumed or aborted, nothing left behind.

The threshold of 5 GiB is lowered; everything else is as it is.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bucketops_jobs.migration import parts, transfer
from bucketops_jobs.s3.multipart import whole_etag
from support.driver import condition
from support.places import Place, migrating
from support.proxy import Answer, Proxy, Request

pytestmark = pytest.mark.slow

MIB = 1 << 20
FIVE, NINE = (random.Random(seed).randbytes(size * MIB) for seed, size in ((1, 5), (2, 9)))
SERVERS = ["minio", "versitygw"]


@pytest.fixture(autouse=True)
def lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MOST_AT_ONCE", 8 * MIB)
    monkeypatch.setattr(parts, "COPIED_PART", 6 * MIB)
    monkeypatch.setattr(parts, "STREAMED_PART", 5 * MIB)


def left(destination: Place, *keys: str) -> list[str]:
    """Uploads under way, and records of any."""
    one_by_one = [
        upload["Key"]
        for key in keys
        for upload in destination.s3.list_multipart_uploads(Bucket=destination.bucket, Prefix=key).get("Uploads", ())
    ]
    pages = destination.s3.get_paginator("list_objects_v2").paginate(Bucket=destination.bucket, Prefix=".bucketops/")
    return one_by_one + [row["Key"] for page in pages for row in page.get("Contents", ()) if "/uploads/" in row["Key"]]


def server(request: pytest.FixtureRequest, name: str) -> Place:
    return Place(name, request.getfixturevalue(name)).make()


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("guard", ["Strict", "Check"])
def test_the_server_copies_in_the_originals_parts_so_that_both_etags_are_one(
    minio: str, versitygw: str, tmp_path: Path, name: str, guard: str
) -> None:
    endpoint = {"minio": minio, "versitygw": versitygw}[name]
    bodies: list[str] = []
    with Proxy(endpoint, lambda request: bodies.append(f"{request.method} {request.path}")) as proxy:
        place = Place(name, endpoint, through=proxy.url).make()
        etag = place.put_in_parts(
            "image/parts", FIVE, FIVE, b"end", ContentType="image/x", Tagging="a=b", Metadata={"c": "d"}
        )
        place.put("image/a first one, which the preflight reads")
        with migrating(tmp_path, place, place, guard=guard) as driver:
            status = driver.finish()
    assert condition(status, "Complete"), status
    found = place.head("avatar/parts")
    assert found["ETag"].strip('"') == etag
    assert (found["ContentType"], found["Metadata"]) == ("image/x", {"c": "d"})
    assert place.tags("avatar/parts") == {"a": "b"}
    assert place.body("avatar/parts") == FIVE + FIVE + b"end"
    assert place.keys("image/") == set()
    assert left(place, "avatar/parts") == []
    read = [line for line in bodies if line.startswith("GET") and "/parts" in line and "tagging" not in line]
    assert [line for line in read if "uploadId" not in line] == []


@pytest.mark.parametrize("name", SERVERS)
def test_an_object_of_one_upload_is_copied_in_parts_and_compared_by_checksum_or_bytes(
    minio: str, versitygw: str, tmp_path: Path, name: str
) -> None:
    place = Place(name, {"minio": minio, "versitygw": versitygw}[name]).make()
    place.put("image/nine", NINE)
    with migrating(tmp_path, place, place, guard="Check") as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    found = place.head("avatar/nine")
    assert found["ETag"].strip('"') == whole_etag({1: md5(NINE[: 6 * MIB]), 2: md5(NINE[6 * MIB :])})
    assert place.body("avatar/nine") == NINE
    assert "UploadPartCopy" in status["capabilities"]["largeObjects"]
    assert left(place, "avatar/nine") == []


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(("one", "other"), [("minio", "versitygw"), ("versitygw", "minio")])
def test_between_servers_it_is_streamed_in_parts(
    request: pytest.FixtureRequest, tmp_path: Path, one: str, other: str
) -> None:
    source, destination = server(request, one), server(request, other)
    source.put("image/nine", NINE, ContentType="image/x", Tagging="a=b")
    etag = source.put_in_parts("image/parts", FIVE, FIVE, b"end", CacheControl="max-age=3")
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert destination.body("avatar/nine") == NINE
    assert destination.head("avatar/nine")["ContentType"] == "image/x"
    assert destination.tags("avatar/nine") == {"a": "b"}
    assert destination.head("avatar/parts")["ETag"].strip('"') == etag
    assert destination.head("avatar/parts")["CacheControl"] == "max-age=3"
    assert left(destination, "avatar/nine", "avatar/parts") == []
    assert status["capabilities"]["copy"].endswith("endpoints of their own")


class Refusing:
    """Refuses requests that match, all but the first few of them, until told otherwise."""

    def __init__(self, word: str, after: int, status: int = 403) -> None:
        self.word, self.after, self.status, self.on = word, after, status, True
        self.seen: list[str] = []

    def __call__(self, request: Request) -> Answer | None:
        if self.word not in request.path or request.method != "PUT":
            return None
        self.seen.append(request.path)
        if self.on and len(self.seen) > self.after:
            return Answer(self.status, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        return None


def test_a_part_that_is_refused_fails_the_object_and_leaves_no_part(minio: str, tmp_path: Path) -> None:
    with Proxy(minio, Refusing("partNumber=2", 0)) as proxy:
        source = Place("minio", minio, through=proxy.url).make()
        source.put("image/nine", NINE)
        source.put("image/small")
        destination = Place("minio", minio, through=proxy.url).make()
        with migrating(tmp_path, source, destination, guard="Check") as driver:
            status = driver.finish()
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (1, 1), status
    assert "nine" in status["samples"][0]["message"]
    assert source.keys("image/") == {"nine"}
    assert left(destination, "avatar/nine") == []


def test_an_attempt_that_was_cut_off_is_gone_on_with(
    minio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after SIGKILL: the first attempt ends between two parts without a chance to clean up."""
    seen: list[str] = []

    def died(_: Any) -> None:
        raise RuntimeError("as if killed")

    with Proxy(minio, lambda request: seen.append(f"{request.method} {request.path}")) as proxy:
        place = Place("minio", minio, through=proxy.url).make()
        place.put_in_parts("image/parts", FIVE, FIVE, b"end")
        with migrating(tmp_path, place, place) as driver:
            real = parts.Upload.complete
            monkeypatch.setattr(
                parts.Upload,
                "complete",
                lambda self, etags, expect: (
                    (monkeypatch.setattr(parts.Upload, "complete", real), died(self))[1]
                    if "avatar" in self.key
                    else real(self, etags, expect)
                ),
            )
            status = driver.finish()
    assert condition(status, "Complete"), status
    copied = [line for line in seen if line.startswith("PUT") and "/avatar/parts" in line and "partNumber=" in line]
    assert len(copied) == 3, "no part was copied twice"
    assert place.body("avatar/parts") == FIVE + FIVE + b"end"
    assert left(place, "avatar/parts") == []


def test_what_nobody_finishes_is_aborted_by_the_audit(minio: str, tmp_path: Path) -> None:
    place = Place("minio", minio).make()
    place.put("image/small")
    upload = place.s3.create_multipart_upload(Bucket=place.bucket, Key="avatar/gone")["UploadId"]
    foreign = place.s3.create_multipart_upload(Bucket=place.bucket, Key="avatar/foreign")["UploadId"]
    with migrating(tmp_path, place, place) as driver:
        driver.before("audit", lambda: record(place, driver.status["records"], "avatar/gone", upload))
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert left(place, "avatar/gone") == []
    assert left(place, "avatar/foreign") == ["avatar/foreign"], "what we did not begin is none of our business"
    assert foreign


def record(place: Place, folder: str, key: str, upload: str) -> None:
    below = folder.removeprefix(f"s3://{place.bucket}/")
    body = json.dumps({"key": key, "etag": "x-3", "size": 1, "part": 1, "upload": upload}).encode()
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"  # as a worker names it
    place.s3.put_object(Bucket=place.bucket, Key=f"{below}uploads/{name}", Body=body)


def test_a_large_object_that_the_application_wrote_meanwhile_is_not_overwritten(minio: str, tmp_path: Path) -> None:
    """Strict holds for parts too: the completion is conditional."""
    place = Place("minio", minio).make()
    etag = place.put_in_parts("image/parts", FIVE, FIVE, b"end")

    def rule(request: Request) -> Answer | None:
        if request.method == "PUT" and "partNumber=3" in request.path and "/avatar/" in request.path:
            place.put("avatar/parts", b"the application's")
        return None

    with Proxy(minio, rule) as proxy:
        place.through = proxy.url
        with migrating(tmp_path, place, place) as driver:
            status = driver.finish()
    assert place.body("avatar/parts") == b"the application's"
    assert status["outcomes"]["conflict"] == 1, status
    assert place.head("image/parts")["ETag"].strip('"') == etag
    assert left(place, "avatar/parts") == []
