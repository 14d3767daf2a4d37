"""A call becomes the request that S3 documents, for any key and any way of addressing."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.s3 import wire
from bucketops_jobs.s3.store import ABSENT, ANYTHING, Copy, Expect, Object
from bucketops_jobs.s3.wire import Calls, Place, place

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
SOURCE = Object("legacy/ü +%.png", "abc", 3, datetime(2026, 1, 1, tzinfo=UTC))
MINIO, AWS = "http://minio.storage.svc:9000", "https://s3.eu-west-1.amazonaws.com"


def ref(**changes: Any) -> BucketRef:
    return BucketRef.model_validate({"bucket": "pictures", **changes})


def calls(**changes: Any) -> Calls:
    return Calls(ref(**changes), Place(tls=False, host="h", base="/pictures/"))


@pytest.mark.parametrize(
    ("changes", "endpoint", "host", "base"),
    [
        ({"endpoint": MINIO}, MINIO, "minio.storage.svc:9000", "/pictures/"),
        ({"endpoint": MINIO, "addressingStyle": "virtual"}, MINIO, "pictures.minio.storage.svc:9000", "/"),
        ({}, AWS, "pictures.s3.eu-west-1.amazonaws.com", "/"),
        ({"addressingStyle": "path"}, AWS, "s3.eu-west-1.amazonaws.com", "/pictures/"),
        ({"bucket": "with.dots"}, AWS, "s3.eu-west-1.amazonaws.com", "/with.dots/"),
    ],
)
def test_a_bucket_is_addressed_as_it_is_asked_for_or_as_the_server_expects(
    changes: dict[str, Any], endpoint: str, host: str, base: str
) -> None:
    assert place(ref(**changes), endpoint) == Place(endpoint.startswith("https"), host, base)


@given(KEYS)
def test_any_key_survives_the_path(key: str) -> None:
    path = calls().head(key).path
    assert path.isascii()
    assert " " not in path
    assert unquote(path.removeprefix("/pictures/")) == key


@given(KEYS, KEYS)
def test_a_page_asks_for_its_prefix_and_goes_on_by_one_of_token_and_key(prefix: str, after: str) -> None:
    query = parse_qs(urlsplit(calls().page(prefix, after=after, token=None, limit=7).path).query, strict_parsing=True)
    wanted = {"list-type": ["2"], "encoding-type": ["url"], "max-keys": ["7"], "prefix": [prefix]}
    assert query == {**wanted, "start-after": [after]}
    query = parse_qs(urlsplit(calls().page(prefix, after=after, token="t+/=", limit=7).path).query)
    assert query == {**wanted, "continuation-token": ["t+/="]}


def test_a_copy_names_its_source_the_etag_it_must_have_and_what_it_may_find() -> None:
    request = calls(storageClass="STANDARD_IA", encryption={"type": "SSE-KMS", "kmsKeyId": "key-1"}).copy(
        Copy("old", SOURCE, "new/a", ABSENT)
    )
    assert (request.method, request.path) == ("PUT", "/pictures/new/a")
    assert dict(request.headers) == {
        "x-amz-copy-source": "/old/legacy/%C3%BC%20%2B%25.png",
        "x-amz-copy-source-if-match": '"abc"',
        "if-none-match": "*",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
    }


def test_a_put_carries_its_checksum_its_headers_and_its_condition() -> None:
    request = calls(encryption={"type": "SSE-S3"}).put("k", b"png", {"content-type": "image/png"}, Expect(etag="e"))
    assert dict(request.headers) == {
        "content-type": "image/png",
        "if-match": '"e"',
        "x-amz-server-side-encryption": "AES256",
        "content-md5": base64.b64encode(hashlib.md5(b"png", usedforsecurity=False).digest()).decode(),
    }
    assert "if-match" not in dict(calls().put("k", b"", {}, ANYTHING).headers)


@pytest.mark.parametrize(
    "request_",
    [
        calls(requestPayer=True).page("p", after="", token=None, limit=1),
        calls(requestPayer=True).head("k"),
        calls(requestPayer=True).get("k", "e"),
        calls(requestPayer=True).put("k", b"", {}, ANYTHING),
        calls(requestPayer=True).copy(Copy("old", SOURCE, "k")),
        calls(requestPayer=True).delete("k"),
        calls(requestPayer=True).delete_many([("k", "")]),
    ],
    ids=lambda request: request.operation,
)
def test_the_requester_pays_for_every_call_where_asked(request_: wire.Request) -> None:
    assert dict(request_.headers)["x-amz-request-payer"] == "requester"


@given(st.lists(KEYS.filter(wire.fits_xml), min_size=1, max_size=5))
def test_a_bulk_delete_names_its_keys_exactly(keys: list[str]) -> None:
    request = calls().delete_many((key, "") for key in keys)
    named = [row.findtext("Key") for row in ET.fromstring(request.body).iter("Object")]  # noqa: S314 - our own
    assert named == keys
    assert dict(request.headers)["content-md5"] == wire.md5(request.body)


def body(content: bytes) -> wire.Response:
    return wire.Response(200, (), content)


def test_errors_and_etags_are_read_whatever_quotes_them() -> None:
    assert wire.copied_etag(body(b"<R><ETag>&quot;abc-2&quot;</ETag></R>")) == "abc-2"
    assert wire.copied_etag(body(b'<R><ETag>"abc"</ETag></R>')) == "abc"
    assert wire.error_of(b"<Error><Code>SlowDown</Code><Message>a &amp; b</Message></Error>") == ("SlowDown", "a & b")
    assert wire.error_of(b"") == ("", "")
    left = (
        b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Error><Key>a&amp;b</Key><Code>X</Code></Error>'
    )
    assert list(wire.refused_keys(left + b"</DeleteResult>")) == [("a&b", "", "X", "")]
