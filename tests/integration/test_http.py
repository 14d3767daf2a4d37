"""The connections to a server: every form of answer, and every way in which one does not come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Empty, Queue

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    ItemError,
    NotFoundError,
    TooLargeError,
    TransientError,
    UnreachableError,
    UserError,
    WorkerError,
)
from bucketops_jobs.s3 import http
from bucketops_jobs.s3.connection import WHOLE
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.signing import Credentials
from bucketops_jobs.s3.wire import Place, Request, Response
from support.servers import free_port
from support.verbatim import Last, VerbatimServer

GET = Request("GetObject", "GET", "/bucket/key")
HEAD = Request("HeadObject", "HEAD", "/bucket/key")
COPY = Request("CopyObject", "PUT", "/bucket/key", [("x-amz-copy-source", "/other/key")])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ERROR = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = b"".join(b"%s\r\n" % header for header in headers)
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, lines, len(body), body)


def wire_to(host: str, *, tls: bool = False) -> Wire:
    return Wire(Place(tls, host, "/bucket/"), "us-east-1", partial(Credentials, "user", "password"), None)


@contextmanager
def serving(answers: Iterable[bytes | Last]) -> Iterator[tuple[VerbatimServer, Wire]]:
    with VerbatimServer(answers) as server:
        wire = wire_to(server.host)
        try:
            yield server, wire
        finally:
            wire.close()


def test_a_connection_serves_one_request_after_the_other() -> None:
    with serving([OK] * 3) as (server, wire):
        assert [wire.ask(GET, "get").body for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 1


def test_requests_at_once_have_a_connection_each_and_leave_it_to_the_next() -> None:
    answers: Queue[Response | WorkerError] = Queue()
    with serving([OK] * 40) as (server, wire):
        for _ in range(4):
            for _ in range(10):
                wire.send(GET, "get", answers.put)
            for _ in range(10):
                got = answers.get(timeout=10)
                assert isinstance(got, Response)
        assert len(server.requests) == 40
        assert server.connections == 10


def test_an_answer_in_chunks_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    with serving([chunked, OK]) as (server, wire):
        assert wire.ask(GET, "get").body == b"abcde"
        assert wire.ask(GET, "get").body == b"ok"
        assert server.connections == 1


def test_the_answer_to_head_has_no_body_whatever_length_it_tells() -> None:
    with serving([b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", OK]) as (server, wire):
        assert wire.ask(HEAD, "head").header("content-length") == "1234"
        assert wire.ask(GET, "get").body == b"ok"
        assert server.connections == 1


def test_what_only_announces_the_answer_is_none() -> None:
    early = b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
    with serving([early + answer(b"body", b"ETag: e")]) as (_, wire):
        got = wire.ask(GET, "get")
    assert (got.status, got.body, got.header("x-early")) == (200, b"body", "")


def test_bytes_of_a_header_that_are_no_utf8_survive() -> None:
    with serving([answer(b"", b"x-amz-meta-a: \xff\xe4")]) as (_, wire):
        assert wire.ask(GET, "get").header("x-amz-meta-a").encode(errors="surrogateescape") == b"\xff\xe4"


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections(version: bytes) -> None:
    closing = version + b" 204 No Content\r\nConnection: close\r\n\r\n"
    with serving([closing] * 3) as (server, wire):
        assert [wire.ask(GET, "get").status for _ in range(3)] == [204] * 3
        assert server.connections == 3


def test_a_connection_that_was_closed_while_it_was_free_costs_nobody_an_error() -> None:
    with serving([OK, Last(), OK]) as (server, wire):
        assert wire.ask(GET, "get").body == b"ok"
        assert wire.ask(GET, "get").body == b"ok"
        assert len(server.requests) == 3


def test_a_new_connection_that_is_closed_without_an_answer_is_an_error() -> None:
    with serving([Last()]) as (server, wire), pytest.raises(TransientError, match="get key: connection lost"):
        wire.ask(GET, "get key")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n<ListBucketResult>",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ],
)
def test_an_answer_that_breaks_off_is_an_error_and_no_shorter_answer(half: bytes) -> None:
    """Nor is one that tells its end by that of the connection: nobody knows whether it is whole."""
    with serving([OK, Last(half)]) as (server, wire):
        wire.ask(GET, "get key")
        with pytest.raises(TransientError, match="get key: connection lost before the answer"):
            wire.ask(GET, "get key")
        assert len(server.requests) == 2


@pytest.mark.parametrize("noise", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_who_speaks_no_http_is_told_so(noise: bytes) -> None:
    with serving([noise, OK]) as (_, wire):
        with pytest.raises(TransientError, match="this is no answer of HTTP"):
            wire.ask(GET, "get")
        assert wire.ask(GET, "get").body == b"ok"


def test_bytes_after_an_answer_are_no_answer_to_the_next_request() -> None:
    with serving([OK + OK, answer(b"second")]) as (_, wire):
        with pytest.raises(TransientError, match="this is no answer of HTTP"):
            wire.ask(GET, "first")
        assert wire.ask(GET, "second").body == b"second"


def test_an_error_in_the_body_of_a_200_is_an_error() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html says so of copies."""
    late = answer(b'<?xml version="1.0" encoding="UTF-8"?>\n' + ERROR)
    with serving([late]) as (_, wire), pytest.raises(TransientError, match="copy: SlowDown") as raised:
        wire.ask(COPY, "copy")
    assert raised.value.throttled


def test_an_object_that_looks_like_an_error_is_an_object() -> None:
    with serving([answer(ERROR)]) as (_, wire):
        assert wire.ask(GET, "get").body == ERROR


def test_an_error_is_told_by_its_code_and_without_a_body_by_its_status() -> None:
    absent = b"HTTP/1.1 404 Not Found\r\nContent-Length: 300\r\n\r\n"
    with serving([absent, answer(ERROR, status=b"503 Slow Down")]) as (_, wire):
        with pytest.raises(NotFoundError):
            wire.ask(HEAD, "head")
        with pytest.raises(TransientError, match="get: SlowDown Please reduce"):
            wire.ask(GET, "get")


def test_an_object_too_large_for_memory_is_refused_before_its_body_comes() -> None:
    with serving([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (WHOLE + 1), OK]) as (server, wire):
        with pytest.raises(TooLargeError):
            wire.ask(GET, "get")
        assert wire.ask(GET, "get").body == b"ok"
        assert server.connections == 2


def test_what_is_cancelled_is_over_and_takes_its_connection_along() -> None:
    answers: Queue[Response | WorkerError] = Queue()
    with serving([]) as (_, wire):
        cancel = wire.send(GET, "get key", answers.put)
        cancel()
        assert "get key: cancelled" in str(answers.get(timeout=5))
        cancel()
        with pytest.raises(Empty):
            answers.get(timeout=0.2)


def test_closing_ends_what_is_under_way_and_what_comes_after() -> None:
    answers: Queue[Response | WorkerError] = Queue()
    with serving([]) as (_, wire):
        wire.send(GET, "get", answers.put)
        wire.close()
        wire.send(GET, "get", answers.put)
        for _ in range(2):
            assert "the store is closed" in str(answers.get(timeout=5))


def test_who_does_not_answer_in_time_is_given_up_as_overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.1)
    with serving([]) as (_, wire), pytest.raises(TransientError, match="get: no answer in time") as raised:
        wire.ask(GET, "get")
    assert raised.value.throttled


def test_nobody_at_the_endpoint_is_named() -> None:
    wire = wire_to(f"127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match=r"get, at 127.0.0.1:\d+: the endpoint cannot be reached"):
        wire.ask(GET, "get")
    for host in ("nobody.invalid", "no..name"):
        with pytest.raises(UnreachableError, match="the endpoint cannot be reached"):
            wire_to(host).ask(GET, "get")


def test_a_server_that_does_not_prove_who_it_is_gets_no_request(minio: str) -> None:
    with pytest.raises(UserError, match="name the server's CA in caBundle") as raised:
        wire_to(minio.removeprefix("http://"), tls=True).ask(GET, "get")
    assert raised.value.reason is Reason.ENDPOINT_UNREACHABLE


def test_a_header_that_would_smuggle_in_another_is_refused() -> None:
    with serving([OK]) as (server, wire):
        with pytest.raises(ItemError, match="control character"):
            wire.ask(Request("PutObject", "PUT", "/bucket/key", [("x-amz-meta-a", "a\r\nb: c")]), "put")
        assert server.requests == []
