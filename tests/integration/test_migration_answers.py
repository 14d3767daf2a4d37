"""What a server answers is a promise: copies count by what is listed afterwards, and originals go by nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import faulty
from support.driver import condition, message, phases
from support.places import Place, migrating
from support.proxy import Answer, Proxy, Request

pytestmark = pytest.mark.slow

KEYS = {"one", "three", "two"}
MIB = 1 << 20
CONSTANT = "0123456789abcdef" * 2


def between(url: str, server: str, through: str) -> tuple[Place, Place]:
    source, destination = (Place(server, url, through=through).make() for _ in range(2))
    for key in KEYS:
        source.put(f"image/{key}")
    return source, destination


def require_an_end(status: dict[str, Any], *, failed: int) -> None:
    """It came to its end, what failed is told, and nobody blames the application."""
    assert condition(status, "Failed"), status
    assert (status["outcomes"]["failed"], status["outcomes"].get("moved", 0)) == (failed, len(KEYS) - failed), status
    assert not condition(status, "Degraded"), message(status, "Degraded")
    assert len(status["runs"]) <= 8, phases(status)


@pytest.mark.parametrize("guard", ["Strict", "Check"])
@pytest.mark.parametrize("how", [faulty.another_size, faulty.another_object, faulty.nothing])
def test_the_original_of_a_copy_that_is_not_listed_as_such_stays(
    minio: str, tmp_path: Path, how: Callable[[bytes], bytes], guard: str
) -> None:
    """Each write is answered with the right ETag; what is listed is another size, another object, or nothing."""
    with Proxy(minio, body=faulty.Shown("avatar/two", how)) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        with migrating(tmp_path, source, destination, guard=guard) as driver:
            status = driver.finish(120)
    require_an_end(status, failed=1)
    assert source.keys("image/") == {"two"}
    assert any(sample["key"] == "two" for sample in status["samples"])


def test_a_copy_that_loses_its_bytes_before_the_deletion_keeps_its_original(minio: str, tmp_path: Path) -> None:
    """It was right when it was made; the look before the deletion finds it out, and a sweep cannot mend it."""
    shown = faulty.Shown("avatar/two", faulty.another_size)
    lost: list[bool] = []
    with Proxy(minio, body=lambda request, body: shown(request, body) if lost else body) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        with migrating(tmp_path, source, destination) as driver:
            driver.before("delete", lambda: lost.append(True))
            status = driver.finish(120)
    assert condition(status, "Failed"), status
    assert source.keys("image/") == {"two"}


def test_a_listing_that_is_behind_costs_a_sweep_and_nothing_else(minio: str, tmp_path: Path) -> None:
    """After the copy it does not show the object for a while: that is no loss, and nothing is written twice."""
    hidden, until = faulty.Shown("avatar/two", faulty.nothing), list[bool]()
    writes: list[str] = []

    def rule(request: Request) -> Answer | None:
        if request.method == "PUT" and request.key == "avatar/two":
            writes.append(request.key)
        return None

    with Proxy(minio, rule, body=lambda request, body: body if until else hidden(request, body)) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        with migrating(tmp_path, source, destination) as driver:
            driver.before("sweep", lambda: until.append(True))
            status = driver.finish(120)
    assert condition(status, "Complete"), status
    assert (source.keys("image/"), destination.keys("avatar/"), len(writes)) == (set(), KEYS, 1)


def test_a_server_that_takes_no_right_if_match_replaces_nothing_and_the_run_ends(minio: str, tmp_path: Path) -> None:
    with Proxy(minio, faulty.Rgw(bare=False)) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        destination.put("avatar/two", b"another")
        with migrating(tmp_path / "strict", source, destination, onConflict="Overwrite") as driver:
            status = driver.finish(120)
        require_an_end(status, failed=1)
        assert status["capabilities"]["conditionalOverwrite"] == "no"
        assert "choose guard: Check" in str(status["samples"])
        assert (source.keys("image/"), destination.body("avatar/two")) == ({"two"}, b"another")
        with migrating(tmp_path / "check", source, destination, onConflict="Overwrite", guard="Check") as driver:
            status = driver.finish(120)
    assert condition(status, "Complete"), status
    assert destination.body("avatar/two") == b"image/two"


def test_a_condition_that_is_refused_though_it_holds_ends_as_a_failed_object(minio: str, tmp_path: Path) -> None:
    """The probe found nothing: it is refused of this prefix alone."""
    refuse = faulty.Rgw(bare=False, matches=lambda request: request.key == "avatar/two")
    with Proxy(minio, refuse) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        destination.put("avatar/two", b"another")
        with migrating(tmp_path, source, destination, onConflict="Overwrite") as driver:
            status = driver.finish(120)
    require_an_end(status, failed=1)
    assert "refuses what it lists itself" in str(status["samples"])
    assert (source.keys("image/"), destination.body("avatar/two")) == ({"two"}, b"another")


@pytest.mark.parametrize("verify", ["ETag", "Content"])
def test_ways_of_rgw(minio: str, tmp_path: Path, verify: str) -> None:
    """If-Match goes without quotes; a completion without an ETag is compared, and a later change is no conflict."""
    reads: list[str] = []
    rgw = faulty.Rgw()

    def rule(request: Request) -> Answer | None:
        if request.method == "GET" and "?" not in request.path:
            reads.append(request.key)
        return rgw(request)

    with Proxy(minio, rule, body=rgw.body) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        source.put_in_parts("image/large", b"a" * (5 * MIB), b"b" * (5 * MIB))
        destination.put("avatar/two", b"another")

        def change() -> None:
            source.put_in_parts("image/large", b"a" * (5 * MIB), b"c" * (5 * MIB))

        with migrating(tmp_path, source, destination, onConflict="Overwrite", verify=verify, guard="Check") as driver:
            driver.before("sweep", change)
            status = driver.finish(120)
    assert condition(status, "Complete"), status
    assert (status["outcomes"]["moved"], status["outcomes"]["conflict"], status["outcomes"]["failed"]) == (4, 0, 0)
    assert destination.body("avatar/large") == b"a" * (5 * MIB) + b"c" * (5 * MIB)
    assert destination.body("avatar/two") == b"image/two"
    assert source.keys("image/") == set()
    if verify == "Content":
        assert reads.count("avatar/large") >= 1


def test_a_part_copied_without_an_etag_is_carried(minio: str, tmp_path: Path) -> None:
    """rclone answers 200 to UploadPartCopy, and names no part."""

    def body(request: Request, data: bytes) -> bytes:
        copied = faulty.is_copy(request) and "partNumber=" in request.path
        return re.sub(rb"<ETag>.*?</ETag>", b"", data) if copied else data

    with Proxy(minio, body=body) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        source.put_in_parts("image/large", b"a" * (5 * MIB), b"b" * (5 * MIB))
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish(120)
    assert condition(status, "Complete"), status
    assert status["capabilities"]["multipartCopy"] == "no"
    assert destination.body("avatar/large") == b"a" * (5 * MIB) + b"b" * (5 * MIB)


def test_a_server_whose_etags_say_nothing_is_refused(minio: str, tmp_path: Path) -> None:
    """It looks like an MD5 and is the same for everything."""

    def headers(_: Request, found: dict[str, str]) -> dict[str, str]:
        return {name: f'"{CONSTANT}"' if name.lower() == "etag" else value for name, value in found.items()}

    def body(_: Request, data: bytes) -> bytes:
        return re.sub(rb"(<ETag>(?:&#34;|&quot;|\"))[0-9a-f]{32}", rb"\g<1>" + CONSTANT.encode(), data)

    with Proxy(minio, body=body, headers=headers) as proxy:
        source, destination = between(minio, "minio", proxy.url)
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish(120)
    assert "the same ETag" in message(status, "Stalled"), status
    assert source.keys("image/") == KEYS


def test_an_object_that_is_answered_for_another_key_is_not_copied(moto: str, tmp_path: Path) -> None:
    """moto believes any signature, so the proxy may ask for another key."""

    def rule(request: Request) -> Answer | None:
        if request.method == "GET" and request.key == "image/two":
            request.path = request.path.replace("image/two", "image/one")
        return None

    with Proxy(moto, rule) as proxy:
        source, destination = between(moto, "moto", proxy.url)
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish(120)
    require_an_end(status, failed=1)
    assert source.keys("image/") == {"two"}
    assert destination.keys("avatar/") == {"one", "three"}


def test_seaweedfs_keeps_no_byte_of_a_folder_and_the_original_stays(seaweedfs: str, moto: str, tmp_path: Path) -> None:
    """PUT of dir/ answers the right ETag; a//b becomes a/b, and a backslash a slash."""
    source, destination = Place("moto", moto).make(), Place("seaweedfs", seaweedfs).make()
    odd = {"dir/", "a//b", "back\\slash"}
    for key in (*odd, "plain", "folder/x"):
        source.put(f"image/{key}")
    source.s3.put_object(Bucket=source.bucket, Key="image/empty/", Body=b"")
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish(120)
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (3, 3), status
    assert source.keys("image/") == odd
    assert destination.keys("avatar/") == {"plain", "folder/x", "empty/"}, "nothing is written under another name"
    assert destination.body("avatar/plain") == b"image/plain"


def test_versitygw_is_asked_by_its_listing_for_names_that_it_changes(versitygw: str, moto: str, tmp_path: Path) -> None:
    """Sparse sweeps ask key by key: HEAD of a//b finds a/b, and the original of a//b stays all the same."""
    source, destination = Place("moto", moto).make(), Place("versitygw", versitygw).make()
    odd = {"a//b", "a/./b", "dir/"}
    for key in (*odd, "a/b"):
        source.put(f"image/{key}")
    for number in range(40):
        source.put(f"image/a/between-{number}")
        destination.put(f"avatar/a/between-{number}", f"image/a/between-{number}".encode())
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish(120)
    assert status["outcomes"]["failed"] == 3, status
    assert source.keys("image/") == odd
    assert destination.body("avatar/a/b") == b"image/a/b"


def test_an_object_that_no_listing_showed_stays_and_the_application_is_not_blamed_alone(
    minio: str, tmp_path: Path
) -> None:
    """MinIO lists nothing below `a` as long as there is an object `a`."""
    source, destination = (Place("minio", minio).make() for _ in range(2))
    for key in ("a", "a/b"):
        source.put(f"image/{key}")
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish(120)
    assert condition(status, "Failed"), status
    assert "no listing showed it before" in message(status, "Failed")
    assert source.body("image/a/b") == b"image/a/b"
    assert destination.body("avatar/a") == b"image/a"
