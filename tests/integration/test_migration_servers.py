"""From one server to another that is not like it. moto holds any key and believes every signature."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from bucketops_api.privileges import migration
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.avatars import s3_client
from support.driver import condition, driving, message
from support.identities import Identity, anybody, forbid, gateway_user
from support.places import Place, migrating, spec, users
from support.proxy import Answer, Proxy, Request
from support.servers import ADMIN, PASSWORD, start_minio

pytestmark = pytest.mark.slow

ROOT = Identity(ADMIN, PASSWORD)


def place(endpoint: str, bucket: str, prefix: str, secret: str) -> dict[str, Any]:
    credentials = {"secretRef": {"name": secret}}
    return {"bucket": bucket, "prefix": prefix, "endpoint": endpoint, "credentials": credentials}


def test_a_key_that_the_destination_stores_under_another_name_is_reported_and_kept(
    moto: str, versitygw: str, tmp_path: Path
) -> None:
    """versitygw answers 200 for a//b and stores a/b."""
    bucket = f"servers-{secrets.token_hex(4)}"
    source, destination = (s3_client(endpoint, ADMIN, PASSWORD) for endpoint in (moto, versitygw))
    for client in (source, destination):
        client.create_bucket(Bucket=bucket)
    for key in ("plain", "a//b", "c d+é"):
        source.put_object(Bucket=bucket, Key=f"image/{key}", Body=key.encode(), Metadata={"of": "me"})
    spec = {
        "mode": "Apply",
        "source": place(moto, bucket, "image/", "any"),
        "destination": place(versitygw, bucket, "avatar/", "one"),
        "cleanup": {"policy": "Delete", "grace": "1s"},
        "worker": {"parallelism": 1, "shards": 1, "concurrency": 8},
    }
    model = MigrationSpec.model_validate(spec)
    rights = migration.policy(*migration.destination_statements(model))
    users = {"any": anybody(), "one": gateway_user(versitygw, ROOT, rights)}
    mounted = {name: user.secret() for name, user in users.items()}
    with driving(tmp_path, mounted, spec, "servers", processes=False) as driver:
        status = driver.finish()
    assert not condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 2
    assert status["outcomes"]["failed"] == 1
    assert any("a//b" in str(sample) and "under another name" in str(sample) for sample in status["samples"]), status
    kept = {row["Key"] for row in source.list_objects_v2(Bucket=bucket, Prefix="image/").get("Contents", [])}
    assert kept == {"image/a//b"}
    for key in ("plain", "c d+é"):
        answer = destination.get_object(Bucket=bucket, Key=f"avatar/{key}")
        assert (answer["Body"].read(), answer["Metadata"]) == (key.encode(), {"of": "me"})


def folder(root: Path) -> Path:
    made = root / "other"
    made.mkdir()
    return made


def test_two_servers_with_users_of_their_own(minio: str, tmp_path: Path) -> None:
    """Two MinIOs under one roof would know each other's users; these do not."""
    other = start_minio(folder(tmp_path))
    try:
        source = Place("minio", minio).make()
        destination = Place("minio", f"http://127.0.0.1:{other.port}").make()
        for number in range(20):
            source.put(f"image/{number}", Metadata={"number": str(number)}, Tagging="a=b")
        with migrating(tmp_path, source, destination) as driver:
            status = driver.finish()
        assert condition(status, "Complete"), status
        assert status["capabilities"]["copy"] == "GET and conditional PUT: both places have endpoints of their own"
        assert status["outcomes"]["moved"] == 20
        assert source.keys("image/") == set()
        assert destination.body("avatar/7") == b"image/7"
        assert destination.head("avatar/7")["Metadata"] == {"number": "7"}
        assert destination.tags("avatar/7") == {"a": "b"}
    finally:
        other.stop()


@pytest.mark.parametrize("guard", ["Strict", "Check"])
def test_a_destination_whose_identity_may_not_read_the_source_is_streamed_to(
    minio: str, tmp_path: Path, guard: str
) -> None:
    """As in another account: found out before, and said."""
    seen: list[str] = []
    with Proxy(minio, lambda request: seen.append(f"{request.method} {sorted(request.headers)}")) as proxy:
        source, destination = (Place("minio", minio, through=proxy.url).make() for _ in range(2))
        for key in "abc":
            source.put(f"image/{key}", Tagging="a=b")
        given = users(source, destination, spec(source, destination))
        forbid(minio, ROOT, given["other"], "s3:GetObject", f"{source.bucket}/*")
        with migrating(tmp_path, source, destination, given=given, guard=guard) as driver:
            driver.before("copy", seen.clear)
            status = driver.finish()
    assert condition(status, "Complete"), status
    said = status["capabilities"]["copy"]
    assert said == "GET and conditional PUT: the destination's identity may not read the source (s3:GetObject)"
    assert destination.keys("avatar/") == {"a", "b", "c"}
    assert destination.tags("avatar/a") == {"a": "b"}
    assert not [line for line in seen if "copy-source" in line.lower()]


def bare(request: Request) -> Answer | None:
    """A server without conditions, lists of deletions, uploads in parts, tags, versioning or lifecycle rules.

    Google Cloud Storage's S3 API lacks most of these; each other one is missing somewhere.
    """
    query = request.path.partition("?")[2]
    known = {"list-type", "prefix", "x-id", "encoding-type", "max-keys", "start-after", "continuation-token"}
    if {part.partition("=")[0] for part in query.split("&") if part} - known:
        return Answer(405, b"<Error><Code>MethodNotAllowed</Code><Message>not here</Message></Error>")
    ignored = {"if-match", "if-none-match", "x-amz-copy-source-if-match", "x-amz-tagging"}
    request.headers = {name: value for name, value in request.headers.items() if name.lower() not in ignored}
    return None


def test_a_server_that_can_do_next_to_nothing_is_moved_from_and_to(moto: str, tmp_path: Path) -> None:
    """moto believes any signature, so the proxy may take signed headers away."""
    with Proxy(moto, bare) as proxy:
        source, destination = (Place("moto", moto, through=proxy.url).make() for _ in range(2))
        for number in range(30):
            source.put(f"image/{number}")
        with migrating(tmp_path / "strict", source, destination) as driver:
            status = driver.finish()
        assert "choose guard: Check" in message(status, "Stalled")
        with migrating(tmp_path / "check", source, destination, guard="Check") as driver:
            status = driver.finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 30
    assert source.keys("image/") == set()
    assert destination.keys("avatar/") == {str(number) for number in range(30)}
    can = status["capabilities"]
    assert can["copy"] == "look, then CopyObject: an object written in between is overwritten"
    assert {name: can[name] for name in ABSENT} == dict.fromkeys(ABSENT, "no")
    assert can["tagging"].startswith("no")
    assert can["largeObjects"].startswith("objects above 5 GiB cannot be moved")


ABSENT = (
    "bulkDelete",
    "conditionalCopy",
    "conditionalDelete",
    "conditionalMultipart",
    "conditionalPut",
    "multipartCopy",
)


def test_deletions_are_those_of_the_sources_server(versitygw: str, minio: str, tmp_path: Path) -> None:
    """versitygw deletes on condition, MinIO does not; the destination's abilities say nothing of it."""
    for name, (one, other) in {"yes": (versitygw, minio), "no": (minio, versitygw)}.items():
        kinds = {minio: "minio", versitygw: "versitygw"}
        source, destination = Place(kinds[one], one).make(), Place(kinds[other], other).make()
        source.put("image/a")
        with migrating(tmp_path / name, source, destination) as driver:
            status = driver.finish()
        assert condition(status, "Complete"), status
        assert status["capabilities"]["conditionalDelete"] == name


def test_versitygw_copies_from_one_bucket_to_another_by_itself(versitygw: str, tmp_path: Path) -> None:
    """Its rights stand in the policies of both buckets."""
    requests: list[str] = []
    with Proxy(versitygw, lambda request: requests.append(f"{request.method} {request.path}")) as proxy:
        source, destination = (Place("versitygw", versitygw, through=proxy.url).make() for _ in range(2))
        keys = {"a first one, which the preflight reads", *(f"picture-{number}" for number in range(30))}
        for key in keys:
            source.put(f"image/{key}")
        with migrating(tmp_path, source, destination, guard="Check") as driver:
            status = driver.finish()
    assert condition(status, "Complete"), status
    assert "CopyObject" in status["capabilities"]["copy"]
    assert (source.keys("image/"), destination.keys("avatar/")) == (set(), keys)
    assert not [line for line in requests if line.startswith("GET") and "/image/picture" in line]
