"""Strict and Check, on servers whose CopyObject honours conditions and on those whose does not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.driver import condition
from support.places import Place, migrating
from support.proxy import Answer, Proxy, Request

pytestmark = pytest.mark.slow

THEIRS = b"the application's own picture"
REFUSED = Answer(412, b"<Error><Code>PreconditionFailed</Code><Message>not as expected</Message></Error>")


class Racing:
    """The application writes one production object right before ours arrives; on top, perhaps, AWS's conditions."""

    place: Place

    def __init__(self, *, conditional: bool) -> None:
        self.conditional, self.raced = conditional, False
        self.copies = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method != "PUT":
            return None
        copies = "x-amz-copy-source" in headers and "partnumber" not in request.path.lower()
        with self._lock:
            self.copies += copies and "avatar/" in request.key
            if request.key == "avatar/b" and not self.raced:
                self.raced = True
                self.place.put("avatar/b", THEIRS)
        return REFUSED if copies and self.conditional and self._otherwise(request, headers) else None

    def _otherwise(self, request: Request, headers: dict[str, str]) -> bool:
        """What MinIO does not look at: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
        try:
            there = self.place.s3.head_object(Bucket=request.bucket, Key=request.key)["ETag"]
        except ClientError:
            there = None
        absent, etag = headers.get("if-none-match") == "*", headers.get("if-match")
        return (absent and there is not None) or (etag is not None and there != etag)


@pytest.mark.parametrize(
    ("conditional", "guard", "way", "spared"),
    [
        (True, "Strict", "conditional CopyObject", True),
        (True, "Check", "conditional CopyObject", True),
        (False, "Strict", "GET and conditional PUT", True),
        (False, "Check", "look, then CopyObject: an object written in between is overwritten", False),
    ],
)
def test_a_race_is_lost_as_the_status_says(
    minio: str, tmp_path: Path, guard: str, way: str, *, conditional: bool, spared: bool
) -> None:
    """What is overwritten under Check, and only there, is what the documentation says."""
    racing = Racing(conditional=conditional)
    with Proxy(minio, racing) as proxy:
        source, destination = (Place("minio", minio, through=proxy.url).make() for _ in range(2))
        racing.place = destination
        for key in "abc":
            source.put(f"image/{key}")
        with migrating(tmp_path, source, destination, guard=guard) as driver:
            status = driver.finish()
    assert racing.raced
    assert status["capabilities"]["copy"] == way
    assert status["capabilities"]["conditionalCopy"] == ("yes" if conditional else "no")
    assert (destination.body("avatar/b") == THEIRS) is spared
    assert status["outcomes"]["conflict"] == int(spared), status
    assert condition(status, "Complete") is not spared
    assert source.keys("image/") == ({"b"} if spared else set())
    assert bool(racing.copies) is (way != "GET and conditional PUT")
