"""A worker is killed in the middle of a copy in parts: the next goes on with the same upload, and none stays behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from integration.test_migration_large import left
from support.driver import Driver, condition
from support.places import Place, migrating
from support.proxy import Answer, Hold, Proxy, Request

pytestmark = pytest.mark.slow

MIB = 1 << 20
PIECES = [random.Random(seed).randbytes(8 * MIB) for seed in range(3)]
WHOLE = b"".join(PIECES) + b"end"
"""In parts of the size that a worker gives to what it streams."""
PARTS = {"1", "2", "3", "4"}


class Watched:
    """What is asked of the large object's upload; all parts but the first wait until they are let through."""

    def __init__(self) -> None:
        self.parts = Hold(_is_part)
        self.parts.let(1)
        self.sent: list[str] = []
        self.begun = self.completed = self.dead = 0

    def __call__(self, request: Request) -> Answer | None:
        if _is_part(request):
            self.sent.append(number_of(request))
        self.begun += request.method == "POST" and request.path.endswith("/avatar/large?uploads")
        self.completed += request.method == "POST" and "/avatar/large?uploadId=" in request.path
        return self.parts(request)


def _is_part(request: Request) -> bool:
    return request.method == "PUT" and "/avatar/large" in request.path and "partNumber=" in request.path


def number_of(request: Request) -> str:
    return request.path.partition("partNumber=")[2].partition("&")[0]


def under_way(place: Place) -> set[str]:
    """The parts that the server has of the one upload under way."""
    names = {"Bucket": place.bucket, "Key": "avatar/large"}
    found = place.s3.list_multipart_uploads(Bucket=place.bucket, Prefix=names["Key"]).get("Uploads", ())
    parts = (place.s3.list_parts(**names, UploadId=one["UploadId"]).get("Parts", ()) for one in found)
    return {str(part["PartNumber"]) for listed in parts for part in listed}


def killed_in_the_middle(driver: Driver, watched: Watched, destination: Place, parts: int = 1) -> set[str]:
    """SIGKILL while the server has so many parts and the requests of others wait; the parts that are there."""
    asked = watched.dead + len(PARTS) - parts + 1  # all at once: one gets through, the others wait
    driver.until(lambda _: watched.parts.came == asked and len(under_way(destination)) == parts)
    driver.kill_workers()
    watched.parts.drop()
    watched.dead = watched.parts.came
    return under_way(destination)


@pytest.mark.parametrize("other", ["minio", "versitygw"], ids=["copied by the server", "streamed to another server"])
def test_the_next_worker_goes_on_with_the_parts_that_are_there(
    request: pytest.FixtureRequest, minio: str, tmp_path: Path, other: str
) -> None:
    """Twice; then the object is whole, the original gone, and no upload and no record of one is left."""
    watched = Watched()
    with Proxy(request.getfixturevalue(other), rule=watched) as proxy:
        destination = Place(other, proxy.target, through=proxy.url).make()
        source = destination if other == "minio" else Place("minio", minio).make()
        etag = source.put_in_parts("image/large", *PIECES, b"end", ContentType="image/x")
        source.put("image/small")
        with migrating(tmp_path, source, destination, processes=True) as driver:
            first = killed_in_the_middle(driver, watched, destination)
            watched.parts.let(watched.dead + 1)
            second = killed_in_the_middle(driver, watched, destination, 2)
            watched.parts.let(10**6)
            status = driver.finish()
    assert condition(status, "Complete"), status
    assert first < second
    assert watched.begun == 1, "the upload is gone on with"
    assert sorted(watched.sent[watched.dead :]) == sorted(PARTS - second), "no part is sent twice"
    assert destination.body("avatar/large") == WHOLE
    assert destination.head("avatar/large")["ContentType"] == "image/x"
    assert destination.head("avatar/large")["ETag"].strip('"') == etag
    assert source.keys("image/") == set()
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == 2
    assert left(destination, "avatar/large") == []


def test_an_upload_of_an_original_that_changed_since_is_aborted_and_begun_anew(minio: str, tmp_path: Path) -> None:
    """No part of the old content gets into the copy of the new one, not even for a moment."""
    watched = Watched()
    with Proxy(minio, rule=watched) as proxy:
        place = Place("minio", minio, through=proxy.url).make()
        place.put_in_parts("image/large", *PIECES, b"end")
        with migrating(tmp_path, place, place, processes=True) as driver:
            killed_in_the_middle(driver, watched, place)
            place.put_in_parts("image/large", *reversed(PIECES), b"other end")
            watched.parts.let(10**6)
            status = driver.finish()
    assert condition(status, "Complete"), status
    assert (watched.begun, watched.completed) == (2, 1)
    assert place.body("avatar/large") == b"".join(reversed(PIECES)) + b"other end"
    assert place.keys("image/") == set()
    assert left(place, "avatar/large") == []
