"""How a key that AWS has made gets into its Secret: one PATCH by the Job's ServiceAccount, or a file on a laptop."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_jobs.access import delivery
from bucketops_jobs.access.delivery import Delivery
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.errors import TransientError, UserError

PAIR = Pair("AKIA1", "very-secret")


class ApiServer(HTTPServer):
    """Answers every PATCH with one status and keeps what came."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server in plain HTTP, which a pod's never is."""
    made = ApiServer()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("the-token")
    monkeypatch.setattr(delivery, "ACCOUNT", account)
    monkeypatch.setattr(delivery, "POD", tmp_path)
    monkeypatch.setattr(delivery, "SCHEME", "http")
    monkeypatch.setattr(delivery.ssl, "create_default_context", lambda **_: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(made.server_port))
    yield made
    made.shutdown()
    made.server_close()


def test_the_pair_is_patched_into_the_one_secret(server: ApiServer, tmp_path: Path) -> None:
    Delivery("team", "app-s3", tmp_path).put(PAIR)
    ((path, token, body),) = server.seen
    assert (path, token) == ("/api/v1/namespaces/team/secrets/app-s3", "Bearer the-token")
    assert {key: base64.b64decode(value).decode() for key, value in body["data"].items()} == {
        names.ACCESS_KEY: "AKIA1", names.SECRET_KEY: "very-secret",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (403, UserError, "bucketops policy S3Access"),
        (404, UserError, "made anew"),
        (409, UserError, "not the one that was made"),
        (422, UserError, "not the one that was made"),
        (500, TransientError, "HTTP 500"),
    ],
)
def test_a_secret_that_cannot_be_written_is_found_before_a_key_is_made(
    server: ApiServer, tmp_path: Path, status: int, error: type[Exception], words: str
) -> None:
    server.status = status
    with pytest.raises(error, match=words):
        Delivery("team", "app-s3", tmp_path).require()
    assert server.seen[0][2] == {"data": {}}


def test_the_secret_that_was_made_is_written_and_no_other_of_its_name(server: ApiServer, tmp_path: Path) -> None:
    way = Delivery("team", "app-s3", tmp_path, "uid-of-ours")
    way.require()
    way.put(PAIR)
    assert [body["metadata"] for _, _, body in server.seen] == [{"uid": "uid-of-ours"}] * 2


def test_on_a_laptop_the_pair_is_left_in_files(tmp_path: Path) -> None:
    way = Delivery("team", "app-s3", tmp_path)
    way.require()
    assert way.delivered() == {}
    way.put(PAIR)
    assert way.delivered() == {names.ACCESS_KEY: "AKIA1", names.SECRET_KEY: "very-secret"}


def test_a_pod_without_a_token_makes_no_key_and_leaves_none_in_files(server: ApiServer, tmp_path: Path) -> None:
    """AWS shows a key once: in the files of a pod it would be lost."""
    (delivery.ACCOUNT / "token").unlink()
    way = Delivery("team", "app-s3", tmp_path)
    for call in (way.require, lambda: way.put(PAIR)):
        with pytest.raises(UserError, match=r"worker\.serviceAccountName"):
            call()
    assert (server.seen, way.delivered()) == ([], {})


def test_a_laptop_that_is_a_pod_itself_writes_files_all_the_same(server: ApiServer, tmp_path: Path) -> None:
    """`bucketops run` in a pod of CI wrote the key into a Secret of that cluster, by that pod's own account."""
    way = Delivery("team", "app-s3", tmp_path / "run")
    way.require()
    way.put(PAIR)
    assert server.seen == []
    assert way.delivered()[names.ACCESS_KEY] == "AKIA1"
