"""Requests to the API server: lists are read page by page, and no page has more bytes than the operator can hold."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes.client
import pytest

from bucketops_operator import rest
from bucketops_operator.errors import AnswerTooLargeError
from bucketops_operator.rest import Api

MIB = 1 << 20


@contextmanager
def api_server(items: int, each: int, limits: list[int]) -> Iterator[Api]:
    """Answers lists of `items` objects of `each` bytes with continue tokens, as the API server does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            limit, first = int(asked["limit"][0]), int(asked.get("continue", ["0"])[0])
            limits.append(limit)
            last = min(items, first + limit)
            page: dict[str, Any] = {"metadata": {"continue": str(last) if last < items else ""}}
            page["items"] = [{"name": number, "spec": "x" * each} for number in range(first, last)]
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:  # the operator has read enough
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """The test says what is wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    try:
        yield Api(kubernetes.client.ApiClient(configuration))
    finally:
        server.shutdown()
        server.server_close()


def test_a_list_is_read_500_objects_at_a_time() -> None:
    limits: list[int] = []
    with api_server(1200, 10, limits) as api:
        assert [item["name"] for item in api.pages("/things", {})] == list(range(1200))
    assert limits == [500, 500, 500]


def test_a_page_of_large_objects_is_asked_for_again_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource may have 1.5 MiB, 500 of them 750 MiB."""
    monkeypatch.setattr(rest, "MOST_BYTES", 4 * MIB)
    limits: list[int] = []
    with api_server(20, MIB // 2, limits) as api:
        assert [item["name"] for item in api.pages("/things", {})] == list(range(20))
    assert max(limits) == 500
    assert limits[-1] * MIB // 2 < 4 * MIB


def test_one_object_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MOST_BYTES", MIB)
    with api_server(2, 2 * MIB, []) as api, pytest.raises(AnswerTooLargeError, match="larger than 1 MiB"):
        list(api.pages("/things", {}))
