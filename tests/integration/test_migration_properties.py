"""What objects have beside their bytes travels with them; what cannot is said before, and of each object."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bucketops_jobs.migration import properties
from support.driver import condition, message
from support.identities import Identity, forbid
from support.places import ROOT, Place, migrating, spec, users, warned
from support.proxy import Answer, Proxy, Request
from support.servers import start_minio

pytestmark = pytest.mark.slow

FULL: dict[str, Any] = {
    "ContentType": "image/x-own",
    "CacheControl": "max-age=7",
    "ContentDisposition": 'attachment; filename="a b.png"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de",
    "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
    "Metadata": {"who": "me"},
    "Tagging": "kind=avatar&of=me",
}
WHERE = [("minio", "minio"), ("minio", "versitygw"), ("versitygw", "minio")]


def place(request: pytest.FixtureRequest, server: str) -> Place:
    return Place(server, request.getfixturevalue(server)).make()


@pytest.mark.parametrize("servers", WHERE, ids="-to-".join)
@pytest.mark.parametrize("guard", ["Strict", "Check"])
def test_every_property_arrives(
    request: pytest.FixtureRequest, tmp_path: Path, servers: tuple[str, str], guard: str
) -> None:
    """Copied by the server (MinIO to itself, Check) and streamed (all others)."""
    source, destination = (place(request, server) for server in servers)
    source.put("image/full", b"x", **FULL)
    with migrating(tmp_path, source, destination, guard=guard) as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    found = destination.head("avatar/full")
    for name in ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage"):
        assert found[name] == FULL[name]
    assert found["ResponseMetadata"]["HTTPHeaders"]["expires"] == FULL["Expires"]
    assert found["Metadata"] == FULL["Metadata"]
    assert destination.tags("avatar/full") == {"kind": "avatar", "of": "me"}
    assert not status.get("notKept"), status["samples"]


def with_expires(source: Place, *keys: str) -> None:
    for key in "abcdef":
        source.put(f"image/{key}", **({"Expires": FULL["Expires"]} if key in keys else {}))


def expires(destination: Place) -> set[str]:
    headers = {key: destination.head(f"avatar/{key}")["ResponseMetadata"]["HTTPHeaders"] for key in "abcdef"}
    return {key for key, found in headers.items() if found.get("expires") == FULL["Expires"]}


def test_what_one_of_a_sample_has_is_kept_for_all_that_have_it(
    minio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MinIO's own copies forget `Expires`; of six objects the first and the third are the sample."""
    monkeypatch.setattr(properties, "LOOKED_AT", 2)
    source, destination = Place("minio", minio).make(), Place("minio", minio).make()
    with_expires(source, "c", "f")
    with migrating(tmp_path, source, destination, guard="Check") as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert expires(destination) == {"c", "f"}
    assert "expires" not in warned(driver)


@pytest.mark.parametrize(("verify", "kept"), [("ETag", set()), ("Content", {"d"})])
def test_what_none_of_a_sample_has_is_warned_of_and_costs_no_request_each(
    minio: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: str, kept: set[str]
) -> None:
    """Where all bytes are read anyway, all are asked."""
    monkeypatch.setattr(properties, "LOOKED_AT", 2)
    with Proxy(minio) as proxy:
        source, destination = (Place("minio", minio, through=proxy.url).make() for _ in range(2))
        with_expires(source, "d")
        with migrating(
            tmp_path, source, destination, guard="Check", verify=verify, cleanup={"policy": "Retain"}
        ) as driver:
            driver.before("copy", proxy.counts.clear)
            status = driver.finish()
    assert condition(status, "Complete"), status
    assert expires(destination) == kept
    assert proxy.counts[f"HEAD {source.bucket}"] == (0 if verify == "ETag" else 6)
    assert ("lose expires: none of 2 objects has that" in warned(driver)) is (verify == "ETag")


def test_a_storage_class_is_kept_where_the_destination_has_it(minio: str, tmp_path: Path) -> None:
    for guard in ("Strict", "Check"):
        source, destination = Place("minio", minio).make(), Place("minio", minio).make()
        source.put("image/reduced", StorageClass="REDUCED_REDUNDANCY")
        source.put("image/plain")
        with migrating(tmp_path / guard, source, destination, guard=guard) as driver:
            status = driver.finish()
        assert condition(status, "Complete"), status
        assert destination.head("avatar/reduced")["StorageClass"] == "REDUCED_REDUNDANCY"
        assert "StorageClass" not in destination.head("avatar/plain")


def test_a_storage_class_that_the_destination_has_not_is_named_before_and_of_each_object(
    minio: str, versitygw: str, tmp_path: Path
) -> None:
    source, destination = Place("minio", minio).make(), Place("versitygw", versitygw).make()
    source.put("image/reduced", StorageClass="REDUCED_REDUNDANCY")
    source.put("image/plain")
    with migrating(tmp_path, source, destination) as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 2
    assert status["notKept"] == 1
    (sample,) = status["samples"]
    assert (sample["key"], sample["outcome"]) == ("reduced", "notKept")
    assert "storage class REDUCED_REDUNDANCY (now STANDARD)" in sample["message"]
    assert "1 objects lose their storage class (REDUCED_REDUNDANCY)" in warned(driver)
    assert "1 copies lack a property" in message(status, "Complete")


def test_a_named_storage_class_is_the_users_wish_and_nothing_is_lost(minio: str, tmp_path: Path) -> None:
    source, destination = Place("minio", minio).make(), Place("minio", minio).make()
    source.put("image/plain")
    wanted = spec(source, destination)
    wanted["destination"]["storageClass"] = "REDUCED_REDUNDANCY"
    with migrating(tmp_path, source, destination, place=wanted["destination"]) as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert destination.head("avatar/plain")["StorageClass"] == "REDUCED_REDUNDANCY"
    assert not status.get("notKept"), status["samples"]


def without_tags(request: Request) -> Answer | None:
    """A server that knows no tags, such as Google's: it ignores the header and refuses the call."""
    if "tagging" in request.path.partition("?")[2]:
        return Answer(501, b"<Error><Code>NotImplemented</Code></Error>")
    request.headers = {name: value for name, value in request.headers.items() if name.lower() != "x-amz-tagging"}
    return None


def test_tags_that_the_destination_cannot_hold_are_named_before_and_of_each_object(
    minio: str, moto: str, tmp_path: Path
) -> None:
    """moto believes any signature, so the proxy may take a signed header away."""
    with Proxy(moto, without_tags) as proxy:
        source, destination = Place("minio", minio).make(), Place("moto", moto, through=proxy.url).make()
        source.put("image/tagged", Tagging="kind=avatar")
        source.put("image/plain")
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish()
        assert "does not keep tags" in warned(driver)
    assert condition(status, "Complete"), status
    assert status["capabilities"]["tagging"].startswith("no")
    assert status["notKept"] == 1
    assert [(s["key"], s["message"]) for s in status["samples"]] == [("tagged", "tags")]
    assert destination.body("avatar/tagged") == b"image/tagged"


@pytest.mark.parametrize(("who", "action"), [("one", "s3:GetObjectTagging"), ("other", "s3:PutObjectTagging")])
def test_without_the_right_of_tagging_an_object_with_tags_fails_and_others_move(
    minio: str, versitygw: str, tmp_path: Path, who: str, action: str
) -> None:
    """From MinIO to versitygw, the one that checks this right at a PUT; the source's user may not read tags at all."""
    source = Place("minio", minio).make()
    destination = Place("versitygw", versitygw).make()
    source.put("image/tagged", Tagging="kind=avatar")
    source.put("image/plain")
    given = users(source, destination, spec(source, destination))
    if who == "one":
        forbid(minio, ROOT, given["one"], action, f"{source.bucket}/*")
    else:
        deny(destination, given["other"], action)
    with migrating(tmp_path, source, destination, given=given) as driver:
        status = driver.finish()
    assert action in warned(driver)
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (1, 1), status
    assert source.keys("image/") == {"tagged"}
    assert destination.keys("avatar/") == {"plain"}
    assert [sample["key"] for sample in status["samples"]] == ["tagged"]
    assert "agging" in status["samples"][0]["message"] or "tags" in status["samples"][0]["message"]


def deny(place: Place, user: Identity, action: str) -> None:
    """In the policy of a versitygw bucket."""
    policy = json.loads(place.s3.get_bucket_policy(Bucket=place.bucket)["Policy"])
    for statement in policy["Statement"]:
        statement["Action"] = [name for name in statement["Action"] if name != action]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
    place.s3.put_bucket_policy(Bucket=place.bucket, Policy=json.dumps(policy))
    assert user.name in json.dumps(policy)


KMS = {"MINIO_KMS_SECRET_KEY": "own-key:" + base64.b64encode(bytes(range(32))).decode()}


def test_encrypted_objects_move_and_what_encrypts_otherwise_is_said(minio: str, tmp_path: Path) -> None:
    """MinIO's ETags of encrypted objects are no MD5s of what they hold: checksums or bytes decide."""
    folder = tmp_path / "encrypting"
    folder.mkdir()
    server = start_minio(folder, MINIO_KMS_AUTO_ENCRYPTION="on", **KMS)
    try:
        source = Place("minio", f"http://127.0.0.1:{server.port}").make()
        plain, encrypted = Place("minio", minio).make(), Place("minio", source.endpoint).make()
        for number in range(5):
            source.put(f"image/{number}")
        assert source.head("image/0")["ServerSideEncryption"] == "aws:kms"
        for name, destination in {"plain": plain, "encrypted": encrypted}.items():
            retained = {"cleanup": {"policy": "Retain"}}
            with migrating(tmp_path / name, source, destination, guard="Check", **retained) as driver:
                status = driver.finish()
            assert condition(status, "Complete"), status
            assert destination.body("avatar/3") == b"image/3"
            assert ("copies are encrypted otherwise (none)" in warned(driver)) is (name == "plain")
        assert encrypted.head("avatar/3")["ServerSideEncryption"] == "aws:kms"
    finally:
        server.stop()
