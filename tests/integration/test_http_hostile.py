"""An answer is input: whatever a server says, each request ends, in bounded memory, in words."""

from __future__ import annotations

import io
import secrets
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import repeat
from pathlib import Path

import pytest
from botocore.exceptions import HTTPClientError

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs import retries
from bucketops_jobs.errors import DeniedError, ItemError, ShardError, TransientError, UserError, WorkerError
from bucketops_jobs.pace import Pace
from bucketops_jobs.retention.places import Current, Versions
from bucketops_jobs.s3 import boto, ranges
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connection import LONGEST_ANSWER, LONGEST_HEADERS, WHOLE
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.multipart import Upload
from bucketops_jobs.s3.signing import Credentials
from bucketops_jobs.s3.store import Copy, Object
from bucketops_jobs.s3.wire import Calls, place
from support.raw_server import HANG_UP, Asked, Piece, RawServer, answer, error

ENTRY = Object("a&b", "0" * 32, 3, datetime(2026, 1, 1, tzinfo=UTC))
MIB = 1 << 20


@contextmanager
def store_at(url: str) -> Iterator[S3Store]:
    ref = BucketRef.model_validate({"bucket": "bucket", "endpoint": url})
    where = place(ref, url)
    http = Wire(where, "us-east-1", partial(Credentials, "key", "not-to-be-told"), None)
    store = S3Store("bucket", Calls(ref, where), http, lambda: None, Pace(8, None, threading.Event()))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def facing(*pieces: Piece, early: bool = False) -> Iterator[tuple[RawServer, S3Store]]:
    """A server that says the same to everybody."""
    with RawServer(lambda _: pieces, early=early) as server, store_at(server.url) as store:
        yield server, store


@pytest.fixture(autouse=True)
def _few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "ATTEMPTS", 2)


def endless(head: bytes, block: bytes) -> Callable[[Asked], Iterable[Piece]]:
    def script(_: Asked) -> Iterator[Piece]:
        yield head
        yield from repeat(block)

    return script


CHUNKED = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nTransfer-Encoding: chunked\r\n\r\n'
CHUNK = b"100000\r\n" + b"x" * MIB + b"\r\n"
ENDLESS = {
    "an object in chunks": endless(CHUNKED, CHUNK),
    "an object in chunks of one byte": endless(CHUNKED, b"1\r\nx\r\n" * 1000),
    "a body without length": endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * MIB),
    "a refusal": endless(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"x-amz-meta-a: b\r\n" * 1000),
    "one header": endless(b"HTTP/1.1 200 OK\r\nx-amz-meta-a: ", b"y" * MIB),
    "the name of a header": endless(b"HTTP/1.1 200 OK\r\n", b"y" * MIB),
    "the status": endless(b"HTTP/1.1 200 ", b"y" * MIB),
    "the trailer": endless(CHUNKED + b"0\r\n", b"y: y\r\n" * 10_000),
    "one line of the trailer": endless(CHUNKED + b"0\r\ny: ", b"y" * MIB),
    "announcements": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}
CALLS: dict[str, Callable[[S3Store], object]] = {
    "get": lambda store: store.get("k"),
    "list": lambda store: store.page(""),
    "delete": lambda store: store.delete([ENTRY], conditional=False),
    "copy": lambda store: store.copy("other", ENTRY, "k"),
    "begin": lambda store: Upload.begin(store, "k", {}),
}


@pytest.mark.parametrize(
    ("what", "call"), [*((what, "get") for what in ENDLESS), *(("an object in chunks", call) for call in CALLS)]
)
def test_an_answer_without_an_end_is_given_up_before_it_fills_the_memory(
    what: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "ATTEMPTS", 1)
    with RawServer(ENDLESS[what]) as server, store_at(server.url) as store:
        tracemalloc.start()
        outcome = _outcome(lambda: CALLS[call](store))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert isinstance(outcome, WorkerError)
    assert peak < 3 * LONGEST_ANSWER  # the pieces, and what is made of them


def _outcome(call: Callable[[], object]) -> object:
    """What it answers, or its error; of a deletion, that of its key."""
    try:
        answer = call()
    except WorkerError as raised:
        return raised
    return next(iter(answer.values())) if isinstance(answer, dict) else answer


def test_an_object_that_comes_in_chunks_is_no_larger_than_one_that_tells_its_length() -> None:
    chunk = b"%x\r\n" % (WHOLE + 1) + b"x" * (WHOLE + 1) + b"\r\n0\r\n\r\n"
    with facing(CHUNKED + chunk) as (server, store):
        with pytest.raises(WorkerError):
            store.get("k")
        assert server.requests[1].method == "HEAD"  # for it is to be read in ranges


def test_headers_are_bounded_together() -> None:
    many = [b"x-amz-meta-%d: %s" % (n, b"y" * 1000) for n in range(LONGEST_HEADERS // 1000)]
    with facing(answer(b"", *many)) as (_, store), pytest.raises(ItemError, match="headers have more than 65536 bytes"):
        store.head("k")


BROKEN = (
    b"<DeleteResult><Error><Key>a&b</Key><Code>AccessDenied</Code></Error></DeleteResult>",
    b"<DeleteResult><Error><Key>a",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]><DeleteResult><Error><Key>&a;</Key></Error></DeleteResult>",
    b"<DeleteResult><Error>" + b"<a>" * 100_000,
    b"<DeleteResult>" + b"<Error></Error>" * 200_000 + b"</DeleteResult>",
    b"\xff\xfe<Error>",
)


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_a_deletion_of_many_whose_answer_cannot_be_read_is_asked_for_one_by_one(body: bytes) -> None:
    def script(asked: Asked) -> Iterator[Piece]:
        denied = answer(error("AccessDenied"), status=b"403 Forbidden")
        yield answer(body) if asked.method == "POST" else denied if "denied" in asked.path else answer(b"")

    denied = ENTRY._replace(key="denied")
    with RawServer(script) as server, store_at(server.url) as store:
        remaining = store.delete([ENTRY, denied], conditional=False)
    assert {key: type(why) for key, why in remaining.items()} == {"denied": DeniedError}
    assert [asked.method for asked in server.requests] == ["POST", "DELETE", "DELETE"]


@pytest.mark.timeout(60)
def test_copies_whose_answers_cannot_be_read_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while an answer is read: nobody waits for ever."""
    monkeypatch.setattr("bucketops_jobs.s3.wire.copied_etag", lambda _: 1 / 0)
    with facing(answer(b"<R><ETag>e</ETag></R>")) as (_, store):
        ((_, error),) = store.copies([Copy("other", ENTRY, "k")])
    assert isinstance(error, ItemError)
    assert "ZeroDivisionError" in str(error)


@pytest.mark.parametrize(
    "headers",
    [
        [b"ETag: e", b"Last-Modified: yesterday", b"Content-Length: 1"],
        [b"ETag: e"],
        [b"Last-Modified: \xff", b"ETag: \xff"],
    ],
)
def test_headers_that_cannot_be_read_are_the_requests_error(headers: list[bytes]) -> None:
    lines = b"".join(b"%s\r\n" % header for header in headers)
    with facing(b"HTTP/1.1 200 OK\r\n%s\r\n" % lines) as (_, store), pytest.raises(ItemError, match="be read"):
        store.head("k")


@pytest.mark.parametrize("size", [1000, MIB, WHOLE, WHOLE + 1])
def test_a_refusal_is_heard_though_the_server_hangs_up_before_it_has_read_the_body(size: int) -> None:
    refusal = answer(error("AccessDenied"), b"Connection: close", status=b"403 Forbidden")
    with facing(refusal, HANG_UP, early=True) as (_, store), pytest.raises(DeniedError):
        store.put("k", io.BytesIO(secrets.token_bytes(size)), {})


def test_a_body_is_sent_at_once_where_nobody_hangs_up() -> None:
    data = secrets.token_bytes(3 * MIB)
    with facing(answer(b"", b"ETag: e")) as (server, store):
        assert store.put("k", data, {}) == "e"
    (asked,) = server.requests
    assert asked.body == data
    assert "expect" not in asked.headers


def test_a_server_that_says_neither_yes_nor_no_gets_the_body() -> None:
    """The first time it hangs up; the second time it waits for the body without a word."""
    data, calls = secrets.token_bytes(MIB), iter(range(9))

    def script(_: Asked) -> Iterator[Piece]:
        yield HANG_UP if next(calls) == 0 else answer(b"", b"ETag: e")

    with RawServer(script) as server, store_at(server.url) as store:
        assert store.put("k", data, {}) == "e"
    assert [asked.headers.get("expect") for asked in server.requests] == [None, "100-continue"]
    assert server.requests[-1].body == data


def test_signed_headers_and_keys_are_in_no_message() -> None:
    with facing(answer(b"")) as (_, store), pytest.raises(ItemError) as raised:
        store.put("k", b"", {"x-amz-meta-a": "b\nc: not-to-be-told"})
    assert "x-amz-meta-a" in str(raised.value)
    assert "not-to-be-told" not in str(raised.value)
    assert "Signature" not in str(raised.value)


class Doubting:
    """Refuses the signature of one key, or of everybody from some time on."""

    def __init__(self) -> None:
        self.everybody = False

    def __call__(self, asked: Asked) -> Iterator[Piece]:
        if self.everybody or "odd" in asked.path:
            yield answer(error("SignatureDoesNotMatch"), status=b"403 Forbidden")
        else:
            yield answer(b"", b'ETag: "e"')


def test_a_signature_that_is_refused_of_one_object_after_good_ones_is_that_objects_failure() -> None:
    with RawServer(Doubting()) as server, store_at(server.url) as store:
        with pytest.raises(UserError, match="mend the credentials' Secret"):
            store.put("odd", b"1", {})
        store.put("good", b"1", {})
        with pytest.raises(ItemError, match="of this object alone"):
            store.put("odd", b"1", {})


def test_a_signature_that_is_refused_of_everybody_is_the_secrets() -> None:
    doubting = Doubting()
    with RawServer(doubting) as server, store_at(server.url) as store:
        store.put("good", b"1", {})
        doubting.everybody = True
        with pytest.raises(UserError, match="mend the credentials' Secret"):
            store.put("good", b"1", {})


def test_a_deletion_that_fails_for_the_time_being_stops_no_other_one() -> None:
    """All of them go by one stream of requests."""

    def script(asked: Asked) -> Iterator[Piece]:
        yield answer(b"", status=b"503 Busy" if asked.path.endswith("/b") else b"204 No Content")

    with RawServer(script) as server, store_at(server.url) as store:
        left = store.delete([ENTRY._replace(key=key) for key in "abc"], conditional=True)
    assert {key: type(error) for key, error in left.items()} == {"b": TransientError}
    assert {asked.path for asked in server.requests} == {"/bucket/a", "/bucket/b", "/bucket/c"}


def _page(kind: str, number: int, rows: str) -> bytes:
    """One of a listing that says to go on."""
    if kind == "versions":
        root, after = (
            "ListVersionsResult",
            f"<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>{number}</NextVersionIdMarker>",
        )
    else:
        root, after = "ListBucketResult", f"<NextContinuationToken>{number}</NextContinuationToken>"
    return f"<{root}><IsTruncated>true</IsTruncated>{after}{rows}</{root}>".encode()


_FIELDS = "<ETag>e</ETag><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified>"
_ROWS = {
    "objects": f"<Contents><Key>a</Key>{_FIELDS}</Contents>",
    "folders": "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>",
    "versions": f"<Version><Key>a</Key><VersionId>1</VersionId>{_FIELDS}</Version>",
}
PLACE = BucketRef.model_validate({"bucket": "bucket"})
LISTINGS: dict[str, Callable[[S3Store], Iterable[object]]] = {
    "objects": lambda store: store.list_objects(""),
    "objects by streams": lambda store: ranges.each_page(store, "", most=2),
    "folders": lambda store: Current(store, PLACE).folders(""),
    "versions": lambda store: Versions(store, PLACE).entries(""),
    "folders of versions": lambda store: Versions(store, PLACE).folders(""),
}
_ENDS = {
    "the same page again": ("does not go on|out of order", lambda _: 1, True),
    "the same page with another token": ("does not go on|out of order", lambda number: number, True),
    "nothing, page after page": ("do(es)? not go on|pages in a row", lambda number: number, False),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", LISTINGS)
@pytest.mark.parametrize("how", _ENDS)
def test_a_listing_that_does_not_end_is_given_up(what: str, how: str) -> None:
    words, token, shows = _ENDS[how]
    kind = "versions" if "versions" in what else what.partition(" ")[0]
    rows = _ROWS["folders" if "folders" in what else kind] if shows else ""
    numbers = iter(range(1, 1 << 20))

    def script(_: Asked) -> Iterator[Piece]:
        number = next(numbers)
        body = _page(kind, token(number), rows)
        yield answer(body if number < 1100 else body.replace(b"true", b"false"))  # who waits for the end has failed

    with RawServer(script) as server, store_at(server.url) as store, pytest.raises(ShardError, match=words):
        list(LISTINGS[what](store))
    assert len(server.requests) < 1100


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>IsTruncated</body></html>",
        b"<ListVersionsResult></ListVersionsResult>",
        b"<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
        b"<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a",
    ],
)
def test_what_is_no_listing_of_versions_is_not_taken_for_an_empty_one(body: bytes) -> None:
    with facing(answer(body)) as (_, store), pytest.raises(ShardError, match="cannot be read"):
        list(Versions(store, PLACE).entries(""))


def test_keys_of_another_prefix_are_in_no_listing_of_versions() -> None:
    body = _page("versions", 1, _ROWS["versions"])
    with facing(answer(body)) as (_, store), pytest.raises(ShardError, match="shows 'a'"):
        list(store.levels.versions("b/"))


@pytest.mark.parametrize("headers", [b"Transfer-Encoding: chunked", b"Connection: close"])
def test_answers_to_boto3_are_bounded(headers: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-told")
    block, end = (CHUNK, b"0\r\n\r\n") if b"chunked" in headers else (b"x" * MIB, b"")
    head = b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % headers
    with RawServer(lambda _: [head, *[block] * 24, end, HANG_UP]) as server:
        ref = BucketRef.model_validate({"bucket": "bucket", "endpoint": server.url})
        client = boto.control(boto.session(ref, tmp_path), ref, tmp_path)
        tracemalloc.start()
        with pytest.raises(HTTPClientError, match="more than 16777216 bytes"):
            client.list_multipart_uploads(Bucket="bucket")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * LONGEST_ANSWER
