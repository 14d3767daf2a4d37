"""Servers that refuse a header or write what no parser reads are asked without it, or by the next way."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketops_jobs.errors import DeniedError, ItemError
from bucketops_jobs.s3.multipart import Upload
from bucketops_jobs.s3.store import ABSENT
from integration.test_http_hostile import ENTRY, facing, store_at
from integration.test_http_proxy import bucket_at, opened
from support.proxy import Answer, Proxy, Request
from support.raw_server import Asked, Piece, RawServer, answer, error


def backblaze(request: Request) -> Answer | None:
    """B2 answers any header of checksums with 400; to a HEAD without a word."""
    asked = any(name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum")) for name in request.headers)
    body = b"" if request.method == "HEAD" else error("InvalidArgument", "Unsupported header received")
    return Answer(400, body) if asked else None


def test_a_server_that_refuses_the_question_for_checksums_is_asked_without_it(tmp_path: Path, minio: str) -> None:
    bucket, refused = bucket_at(minio), []

    def rule(request: Request) -> Answer | None:
        found = backblaze(request)
        if found is not None:
            refused.append(request)
        return found

    with Proxy(minio, rule) as proxy, opened(tmp_path, proxy.url, bucket=bucket) as store:
        etags = {key: store.put(key, b"1", {}) for key in "abc"}
        for key, etag in etags.items():
            assert store.checksums(key, etag) == {}
            assert "content-type" in store.properties(key, etag)
            assert store.bodies.first_part(key, etag) in {0, 1}
    assert len(refused) == 1


def test_the_objects_own_fault_is_none_of_the_header(tmp_path: Path, minio: str) -> None:
    with opened(tmp_path, minio, bucket=bucket_at(minio)) as store:
        with pytest.raises(ItemError):
            store.checksums("absent", "e")
        assert store.bodies._tells_checksums  # noqa: SLF001 - one key's fault would cost all others their checksums


def test_an_upload_is_begun_once_whatever_characters_its_answer_holds() -> None:
    body = b"<R><Key>a&#x1;b</Key><UploadId>u&amp;1</UploadId></R>"
    with facing(answer(body)) as (server, store):
        assert Upload.begin(store, "a\x01b", {}).id == "u&1"
    assert len(server.requests) == 1


def test_an_upload_whose_answer_names_none_is_not_begun_again_and_again() -> None:
    with facing(answer(b"<R/>")) as (server, store), pytest.raises(ItemError, match="names no upload"):
        Upload.begin(store, "k", {})
    assert len(server.requests) == 1


def test_a_completion_that_failed_in_a_200_is_a_failure() -> None:
    late = answer(b'<?xml version="1.0"?>\n\n   ' + error("AccessDenied"))
    with facing(late) as (_, store), pytest.raises(DeniedError):
        Upload(store, "k", "u").complete({1: "e"}, ABSENT)


def test_a_list_of_parts_that_does_not_go_on_ends() -> None:
    page = (
        b"<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
        b"<Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>1</Size></Part></ListPartsResult>"
    )
    with facing(answer(page)) as (_, store), pytest.raises(Exception, match="does not go on from 1"):
        Upload(store, "k", "u").parts()


def test_versions_are_deleted_with_a_digest_and_what_xml_cannot_name_alone() -> None:
    left = b"<DeleteResult><Error><Key>a</Key><VersionId>2</VersionId><Code>AccessDenied</Code></Error></DeleteResult>"

    def script(asked: Asked) -> Iterator[Piece]:
        yield answer(left if asked.method == "POST" else b"")

    with RawServer(script) as server, store_at(server.url) as store:
        remaining = store.delete_versions([("a", "1"), ("a", "2"), ("b\x01", "3/+")])
    assert {name: type(why) for name, why in remaining.items()} == {("a", "2"): DeniedError}
    posted, alone = sorted(server.requests, key=lambda asked: asked.method, reverse=True)
    assert "content-md5" in posted.headers
    assert posted.body.count(b"<VersionId>") == 2
    assert (alone.method, alone.path) == ("DELETE", "/bucket/b%01?versionId=3%2F%2B")


def test_an_object_in_parts_keeps_headers_that_boto3_would_refuse(tmp_path: Path, minio: str) -> None:
    headers = {"x-amz-meta-name": "a b", "cache-control": "max-age=7", "expires": "0", "content-type": "x/ü"}
    with opened(tmp_path, minio, bucket=bucket_at(minio)) as store:
        upload = Upload.begin(store, "k", headers)
        data = b"1"
        etag = upload.put_part(1, io.BytesIO(data), "xMpCOKC5I4INzFCab3WEmw==", len(data))
        assert upload.parts() == {1: (etag, 1)}
        upload.complete({1: etag}, ABSENT)
        assert store.properties("k").items() >= {"x-amz-meta-name": "a b", "content-type": "x/ü"}.items()


def test_a_key_that_is_not_there_is_gone() -> None:
    with facing(answer(error("NoSuchKey"), status=b"404 Not Found")) as (_, store):
        assert store.delete([ENTRY], conditional=True) == {}
