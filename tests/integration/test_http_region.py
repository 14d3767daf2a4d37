"""The bucket is in another region: found where the spec names none, named where it names a wrong one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import UserError
from bucketops_jobs.retries import ODD_ATTEMPTS
from bucketops_jobs.s3 import boto
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.signing import Credentials
from bucketops_jobs.s3.wire import Place, Request, place
from support.avatars import s3_client
from support.raw_server import Asked, Piece, RawServer, answer, error
from support.servers import ADMIN, PASSWORD, start_minio
from support.stores import opened

WHO = partial(Credentials, ADMIN, PASSWORD)
HEAD, GET = Request("HeadObject", "HEAD", "/bucket/key"), Request("GetObject", "GET", "/bucket/key")


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MinIO that is in eu-west-1."""
    server = start_minio(tmp_path_factory.mktemp("abroad"), MINIO_SITE_REGION="eu-west-1")
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def bucket_at(endpoint: str) -> str:
    bucket = f"abroad-{secrets.token_hex(4)}"
    where = {"LocationConstraint": "eu-west-1"}
    admin = s3_client(endpoint, ADMIN, PASSWORD, region="eu-west-1")
    admin.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    return bucket


@pytest.mark.parametrize("first", ["put", "head", "versioning"])
def test_a_region_that_nobody_has_named_is_found(abroad: str, tmp_path: Path, first: str) -> None:
    with opened(tmp_path, abroad, bucket_at(abroad)) as store:
        if first == "put":
            store.put("k", b"1", {})
        elif first == "head":
            assert store.head("k") is None
        assert store.versioning() == "Off"  # by boto3
        store.put("k", b"1", {})
        assert [entry.key for entry in store.list_objects("")] == ["k"]


def test_a_region_that_the_spec_has_wrong_is_named(abroad: str, tmp_path: Path) -> None:
    with opened(tmp_path, abroad, bucket_at(abroad), region="us-west-2") as store, pytest.raises(UserError) as raised:
        store.put("k", b"1", {})
    assert raised.value.reason is Reason.INVALID_SPEC
    assert "the bucket is in eu-west-1: write region: eu-west-1, or none" in str(raised.value)
    assert "Secret" not in str(raised.value)


def told(*headers: bytes, status: bytes, body: bytes = b"") -> bytes:
    return answer(body, *headers, status=status)


MOVED = [
    told(b"x-amz-bucket-region: eu-west-1", status=b"301 Moved Permanently", body=error("PermanentRedirect")),
    told(b"x-amz-bucket-region: eu-west-1", status=b"307 Temporary Redirect", body=error("TemporaryRedirect")),
    told(status=b"307 Temporary Redirect", body=error("TemporaryRedirect", Endpoint="b.s3-eu-west-1.amazonaws.com")),
    told(status=b"301 Moved", body=error("PermanentRedirect", Endpoint="b.s3.dualstack.eu-west-1.amazonaws.com")),
    told(status=b"400 Bad Request", body=error("AuthorizationHeaderMalformed", Region="eu-west-1")),
    told(status=b"400 Bad Request", body=error("AuthorizationHeaderMalformed", "…; expecting 'eu-west-1'")),
    told(status=b"400 Bad", body=error("AuthorizationHeaderMalformed", "expected: 20260101/eu-west-1/s3/aws4_request")),
]


@pytest.mark.parametrize("refusal", MOVED, ids=range(len(MOVED)))
def test_a_request_goes_to_where_the_bucket_is_by_awss_rules_and_all_later_ones_do(refusal: bytes) -> None:
    def there(asked: Asked) -> Iterator[Piece]:
        right = "/eu-west-1/s3/aws4_request" in asked.headers["authorization"]
        yield answer(b"", b"ETag: e") if right else answer(b"", status=b"403 Forbidden")

    with RawServer(lambda _: [refusal]) as here, RawServer(there) as other:
        asked_for = []

        def elsewhere(region: str) -> Place:
            asked_for.append(region)
            return Place(tls=False, host=other.host, base="/bucket/")

        http = Wire(Place(tls=False, host=here.host, base="/bucket/"), "us-east-1", WHO, None, elsewhere)
        assert [http.ask(GET, "get").header("etag") for _ in range(3)] == ["e"] * 3
        http.close()
    assert (len(here.requests), len(other.requests), asked_for) == (1, 3, ["eu-west-1"])


def test_a_head_is_redirected_by_its_headers_alone() -> None:
    def script(asked: Asked) -> Iterator[Piece]:
        right = "/eu-west-1/s3" in asked.headers["authorization"]
        yield b"HTTP/1.1 %s\r\nx-amz-bucket-region: eu-west-1\r\n\r\n" % (b"200 OK" if right else b"400 Bad Request")

    with RawServer(script) as server:
        where = Place(tls=False, host=server.host, base="/bucket/")
        http = Wire(where, "us-east-1", WHO, None, lambda _: where)
        assert http.ask(HEAD, "head").status == 200
        http.close()


def test_servers_that_send_each_other_on_are_left_in_the_end() -> None:
    regions = iter(f"region-{number}" for number in range(100))

    def script(_: Asked) -> Iterator[Piece]:
        yield told(b"x-amz-bucket-region: %s" % next(regions).encode(), status=b"301 Moved")

    with RawServer(script) as server:
        where = Place(tls=False, host=server.host, base="/bucket/")
        http = Wire(where, "us-east-1", WHO, None, lambda _: where)
        with pytest.raises(UserError, match="write region"):
            http.ask(GET, "get")
        http.close()
    assert len(server.requests) < 10


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"308 Permanent Redirect"])
def test_a_redirect_to_another_host_is_named_and_not_followed(status: bytes) -> None:
    with RawServer(lambda _: [answer()]) as other:
        there = b"Location: http://user:s3cret@%s/bucket/key" % other.host.encode()
        with RawServer(lambda _: [answer(b"", there, status=status)]) as server:
            where = Place(tls=False, host=server.host, base="/bucket/")
            http = Wire(where, "us-east-1", WHO, None, lambda _: where)
            with pytest.raises(UserError, match=f"which is http://{other.host}") as raised:
                http.ask(GET, "get")
            http.close()
    assert raised.value.reason is Reason.INVALID_SPEC
    assert "s3cret" not in str(raised.value)
    assert other.requests == []


@pytest.mark.parametrize(
    "status", [b"307 Temporary Redirect", b"301 Moved Permanently", b"302 Found", b"308 Permanent"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_redirect_to_nowhere_is_told_within_seconds(status: bytes, method: str, tmp_path: Path) -> None:
    """One for now may be over at the next request, so it is asked for a few times more; not for minutes."""
    refusal = told(status=status, body=b"" if method == "HEAD" else error("TemporaryRedirect"))
    words = r"'k' \(bucket\).*does not say where to: write the endpoint"
    with (
        RawServer(lambda _: [refusal]) as server,
        opened(tmp_path, server.url, "bucket", region="us-east-1") as store,
        pytest.raises(UserError, match=words) as raised,
    ):
        store.get("k") if method == "GET" else store.head("k")
    assert raised.value.reason is Reason.INVALID_SPEC
    assert len(server.requests) == (ODD_ATTEMPTS if b"307" in status else 1)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("variables", [(), ("FIPS",), ("DUALSTACK",), ("FIPS", "DUALSTACK")], ids="+".join)
def test_awss_hosts_are_those_that_botocore_asks(
    region: str, variables: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if region.startswith("cn") and "FIPS" in variables:
        return  # there is none
    for name in variables:
        monkeypatch.setenv(f"AWS_USE_{name}_ENDPOINT", "true")
    ref = BucketRef(bucket="pictures")
    assert place(ref, boto.endpoint(ref, region)).host == theirs(region)


def theirs(region: str) -> str:
    """The host that boto3 would send a request to."""
    client = boto3.client("s3", region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    seen: list[str] = []

    def stop(request: object, **_: object) -> AWSResponse:
        seen.append(request.url)  # type: ignore[attr-defined]
        return AWSResponse(seen[0], 200, {}, None)

    client.meta.events.register("before-send.s3", stop)
    with suppress(Exception):  # the answer is none
        client.head_object(Bucket="pictures", Key="k")
    return seen[0].split("/")[2]
