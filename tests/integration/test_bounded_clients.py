"""Whoever is asked by another client than ours (boto3, MinIO's) ends within bounds, too: in bytes and in pages."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import HTTPClientError

from bucketops_api.v1alpha1.access import Admin
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.access import minio_admin
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.errors import OddAnswerError, UserError
from bucketops_jobs.s3 import boto
from bucketops_jobs.s3.connection import LONGEST_ANSWER
from support.raw_server import Asked, Piece, RawServer, answer

BLOCK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


def without_end(status: bytes) -> Callable[[Asked], Iterator[Piece]]:
    def script(_: Asked) -> Iterator[Piece]:
        yield b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n" % status
        yield from repeat(BLOCK, 1000)
        yield b"0\r\n\r\n"

    return script


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-told")


def client(url: str, root: Path) -> Any:
    ref = BucketRef.model_validate({"bucket": "bucket", "endpoint": url})
    return boto.control(boto.session(ref, root), ref, root)


@pytest.mark.parametrize("status", [b"403 Forbidden", b"500 Busy", b"301 Moved"])
def test_the_refusal_of_a_get_by_boto3_is_bounded(status: bytes, tmp_path: Path) -> None:
    """It is asked for as a stream, and botocore reads all of its refusal."""
    with RawServer(without_end(status)) as server, pytest.raises(HTTPClientError, match=str(LONGEST_ANSWER)):
        client(server.url, tmp_path).get_object(Bucket="bucket", Key="k")


@pytest.mark.parametrize("circle", [False, True])
def test_a_list_of_iam_that_does_not_end_is_given_up(tmp_path: Path, *, circle: bool) -> None:
    numbers = count()

    def script(_: Asked) -> Iterator[Piece]:
        number = next(numbers)
        marker = "ab"[number % 2] if circle else number
        truncated = "true" if number < 1000 else "false"
        yield answer(
            f"<ListUserPoliciesResponse><ListUserPoliciesResult><PolicyNames><member>p</member></PolicyNames>"
            f"<IsTruncated>{truncated}</IsTruncated><Marker>{marker}</Marker></ListUserPoliciesResult>"
            f"</ListUserPoliciesResponse>".encode(),
            b"Content-Type: text/xml",
        )

    with RawServer(script) as server:
        ref = BucketRef.model_validate({"bucket": "bucket"})
        iam = boto.session(ref, tmp_path).client("iam", endpoint_url=server.url)
        with pytest.raises(OddAnswerError, match="does not end after 100 pages"):
            boto.pages(iam, "list_user_policies", "PolicyNames", UserName="user")
    assert len(server.requests) <= boto.MOST_PAGES + 2


def admin(url: str, root: Path) -> minio_admin.AdminClient:
    return minio_admin.connect(Admin.model_validate({"endpoint": url}), root, Pair("key", "not-to-be-told"))


def bomb(_: Asked) -> Iterator[Piece]:
    yield answer(gzip.compress(bytes(64 << 20)), b"Content-Encoding: gzip")


@pytest.mark.parametrize("script", [without_end(b"200 OK"), without_end(b"403 Forbidden"), bomb])
def test_answers_of_minios_admin_api_are_bounded(script: Callable[[Asked], Iterator[Piece]], tmp_path: Path) -> None:
    with RawServer(script) as server, pytest.raises(UserError, match=f"more than {LONGEST_ANSWER} bytes"):
        minio_admin.call("look", admin(server.url, tmp_path).info)


def test_a_busy_admin_api_is_asked_again(tmp_path: Path) -> None:
    answers = iter([answer(b"", status=b"503 Busy"), answer(b'{"mode": "online"}')])
    with RawServer(lambda _: [next(answers)]) as server:
        assert minio_admin.read("look", admin(server.url, tmp_path).info) == {"mode": "online"}
