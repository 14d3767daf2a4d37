"""`make fuzz`: a server of chance. Every call ends in time, in memory, in words: a right answer or a WorkerError."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs import retries
from bucketops_jobs.errors import WorkerError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import http
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connection import WHOLE
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.multipart import Upload
from bucketops_jobs.s3.signing import Credentials
from bucketops_jobs.s3.store import ANYTHING, Copy, Object
from bucketops_jobs.s3.wire import Calls, place
from support.examples import SAME_EACH_TIME, examples
from support.raw_server import HANG_UP, Asked, Piece, RawServer

pytestmark = pytest.mark.slow

KEY, ETAG, DATA = "a/b", "0" * 32, b"content"
SECRET = "a-secret-that-is-told-nobody"
DATE = b"Thu, 01 Jan 2026 00:00:00 GMT"
ENTRY = Object(KEY, ETAG, len(DATA), datetime(2026, 1, 1, tzinfo=UTC))
PAGE = (
    b"<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>a/b</Key>"
    b"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag><Size>7</Size></Contents>"
    b"</ListBucketResult>" % ETAG.encode()
)
RIGHT = {
    "page": PAGE,
    "object": DATA,
    "copied": b"<CopyObjectResult><ETag>&quot;%s&quot;</ETag></CopyObjectResult>" % ETAG.encode(),
    "left": b"<DeleteResult><Error><Key>a/b</Key><Code>AccessDenied</Code></Error></DeleteResult>",
    "begun": b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
    "parts": b"<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>7</Size></Part></ListPartsResult>",
    "error": b"<Error><Code>SlowDown</Code><Message>no</Message></Error>",
    "malformed": b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>r</Region></Error>",
    "signature": b"<Error><Code>SignatureDoesNotMatch</Code></Error>",
    "nothing": b"",
}
CALLS: dict[str, Callable[[S3Store], Any]] = {
    "page": lambda store: store.page("a/"),
    "list": lambda store: list(store.list_objects("a/")),
    "head": lambda store: store.head(KEY),
    "describe": lambda store: store.describe(KEY),
    "get": lambda store: store.get(KEY, etag=ETAG).body.read(),
    "read": lambda store: store.bodies.read_part(ENTRY, 0, len(DATA), WHOLE)[0].read(),
    "checksums": lambda store: store.checksums(KEY, ETAG),
    "properties": lambda store: store.properties(KEY, ETAG),
    "put": lambda store: store.put(KEY, DATA, {"x-amz-meta-a": "b\u00a0c"}),
    "put large": lambda store: store.put(KEY, io.BytesIO(bytes(300_000)), {}),
    "copy": lambda store: store.copy("other", ENTRY, KEY),
    "copies": lambda store: list(store.copies([Copy("other", ENTRY, KEY), Copy("other", ENTRY, "c")])),
    "delete": lambda store: store.delete([ENTRY], conditional=False),
    "delete if": lambda store: store.delete([ENTRY], conditional=True),
    "versions": lambda store: store.delete_versions([(KEY, "v1"), ("\x01", "v2")]),
    "begin": lambda store: Upload.begin(store, KEY, {}).id,
    "parts": lambda store: Upload(store, KEY, "u").parts(),
    "complete": lambda store: Upload(store, KEY, "u").complete({1: ETAG}, ANYTHING),
    "abort": lambda store: Upload(store, KEY, "u").abort(),
    "now": lambda store: store.now(""),
}


STATUS = st.sampled_from([b"200 OK", b"206 Partial", b"204 No Content", b"301 Moved", b"307 Redirect", b"400 Bad",
                          b"403 Forbidden", b"404 Not Found", b"412 Failed", b"500 No", b"503 Slow Down",
                          b"100 Continue", b"101 Switching", b"999 What", b"20", b"\xff"])  # fmt: skip
NAMES = st.sampled_from([b"ETag", b"Last-Modified", b"Content-Length", b"Content-Range", b"x-amz-meta-a", b"Location",
                         b"x-amz-bucket-region", b"x-amz-tagging-count", b"Transfer-Encoding", b"Connection", b"Date",
                         b"Content-Encoding", b"x-amz-checksum-sha256"])  # fmt: skip
VALUES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b'"%s"' % ETAG.encode(), DATE, b"7", b"-1", b"99999999999999999999", b"chunked", b"gzip", b"close",
                     b"upgrade", b"bytes 0-6/7", b"bytes 5-9/7", b"http://[", b"1", b"", b"x" * 70_000]),
)  # fmt: skip
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


def damaged(body: bytes, at: int, junk: bytes) -> bytes:
    """A body with something else in its middle, or nothing any more."""
    where = at % (len(body) + 1)
    return body[:where] + junk + (body[where + at % 5 :] if at % 3 else b"")


BODIES = st.one_of(
    st.sampled_from(sorted(RIGHT.values())),
    st.builds(damaged, st.sampled_from(sorted(RIGHT.values())), st.integers(0, 500), st.binary(max_size=20)),
    st.binary(max_size=200),
    st.integers(0, 1 << 20).map(lambda size: b"x" * size),
)


def said(status: bytes, headers: list[tuple[bytes, bytes]], body: bytes, form: str, cut: int) -> list[Piece]:
    """An answer in pieces: of the length that it tells, of another, in chunks, without one; or cut off somewhere."""
    lines = b"".join(b"%s: %s\r\n" % (name, value.replace(b"\r", b"").replace(b"\n", b"")) for name, value in headers)
    if form == "chunks":
        size = cut % 50 + 1
        pieces = [body[start : start + size] for start in range(0, min(len(body), 2000), size)]
        whole = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        lines += b"Transfer-Encoding: chunked\r\n"
    else:
        whole = body
        length = {"right": len(body), "short": len(body) - 1, "long": len(body) + 1}.get(form)
        lines += b"" if length is None else b"Content-Length: %d\r\n" % length
    text = b"HTTP/1.1 %s\r\n%s\r\n%s" % (status, lines, whole)
    if cut % 4 == 0:
        return [text[: cut % (len(text) + 1)], HANG_UP]
    middle = cut % (len(text) + 1)
    return [text[:middle], 0.001, text[middle:], *([HANG_UP] if cut % 3 == 0 else [])]


ANSWERS = st.one_of(
    st.builds(
        said,
        STATUS,
        HEADERS,
        BODIES,
        st.sampled_from(["right", "short", "long", "none", "chunks"]),
        st.integers(0, 9999),
    ),
    st.binary(max_size=300).map(lambda noise: [noise, HANG_UP]),
    st.just([HANG_UP]),
    st.just([0.02, b""]),
)


@contextmanager
def facing(answers: list[list[Piece]]) -> Iterator[S3Store]:
    """A store whose server says one after the other, over and over."""
    order = iter(range(1 << 30))

    def script(_: Asked) -> list[Piece]:
        return answers[next(order) % len(answers)]

    with RawServer(script) as server:
        ref = BucketRef.model_validate({"bucket": "bucket", "endpoint": server.url})
        where = place(ref, server.url)
        wire = Wire(where, "us-east-1", partial(Credentials, "key", SECRET, "token"), None, lambda _: where)
        store = S3Store("bucket", Calls(ref, where), wire, lambda: None, Pace(8, None, threading.Event()))
        try:
            yield store
        finally:
            store.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(retries, "FIRST_PAUSE_THROTTLED", 0.001)
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)


def outcome(call: Callable[[S3Store], Any], store: S3Store) -> Any:
    """What a call comes to, in time; anything but an answer or a WorkerError is raised here."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call(store))
        except BaseException as error:  # noqa: BLE001 - looked at below
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert found, "the call does not end"
    if isinstance(found[0], BaseException) and not isinstance(found[0], WorkerError):
        raise found[0]
    return found[0]


@settings(
    max_examples=examples(60),
    deadline=None,
    derandomize=SAME_EACH_TIME,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(ANSWERS, min_size=1, max_size=4), st.sampled_from(sorted(CALLS)))
@pytest.mark.timeout(0)
def test_whatever_a_server_says_every_call_ends_with_an_answer_or_an_error_in_words(
    answers: list[list[Piece]], name: str
) -> None:
    with facing(answers) as store:
        found = outcome(CALLS[name], store)
        if isinstance(found, WorkerError):
            assert str(found)
            assert len(str(found)) < 10_000 or "headers" in str(found)
            assert SECRET not in str(found)
            assert "Signature=" not in str(found)
        if name in {"page", "list"} and not isinstance(found, WorkerError):
            objects = found if isinstance(found, list) else found.objects
            assert all(isinstance(entry, Object) for entry in objects)
        if name == "get" and not isinstance(found, WorkerError):
            assert len(found) <= WHOLE
        assert store._pace.gate.active == 0  # noqa: SLF001 - no slot is lost, or the worker would stand still one day


def test_the_calls_are_right_where_the_server_is() -> None:
    """The fuzz would pass if everything were an error."""
    headers = [(b"ETag", b'"%s"' % ETAG.encode()), (b"Last-Modified", DATE), (b"Date", DATE)]
    right = {"page": "page", "list": "page", "get": "object", "read": "object", "copy": "copied", "copies": "copied",
             "delete": "left", "begin": "begun", "parts": "parts", "complete": "copied", "now": "page"}  # fmt: skip
    for name, call in CALLS.items():
        body = RIGHT[right.get(name, "nothing")]
        with facing([said(b"200 OK", headers, body, "right", 2)]) as store:
            assert not isinstance(outcome(call, store), WorkerError), name
