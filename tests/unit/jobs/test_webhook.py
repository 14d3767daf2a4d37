"""The webhook against senders who want its threads, its memory or its trust; over real sockets on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api import names
from bucketops_api.v1alpha1.exifpipeline import WebhookEvents
from bucketops_jobs.errors import UserError
from bucketops_jobs.pipeline import hear_webhook, webhook_request, webhook_server
from bucketops_jobs.pipeline.webhook_request import RequestError, parse
from bucketops_jobs.pipeline.webhook_server import CONNECTIONS, Server
from bucketops_jobs.pipeline.webhook_tls import Certificate
from bucketops_jobs.tally import Tally
from support import certificates

TOKEN = "t0ken"
EVENT = json.dumps(
    {"Records": [{"eventName": "s3:x", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}
).encode()
POST = b"POST / HTTP/1.1\r\n"
AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()


class Hook:
    """A webhook, and what it has been told."""

    def __init__(self, root: Path) -> None:
        self.root, self.told, self.tally = root, [], Tally()  # type: ignore[var-annotated]
        self.file = root / names.SECRETS_DIR / "hook" / "token"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(TOKEN)
        self.stop = threading.Event()
        context = SimpleNamespace(root=root, tally=self.tally, engine=SimpleNamespace(stop=self.stop))
        self.desk: Any = SimpleNamespace(context=context, tell=self._tell, listening=False)
        self.spec = WebhookEvents.model_validate({"secretRef": {"name": "hook"}})
        self.server = Server(0, hear_webhook.Webhook(self.desk, self.spec).answer)

    def _tell(self, notice: Any) -> bool:
        self.told.append(notice.key)
        return True

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        made = socket.create_connection((host, self.server.port), timeout=20)
        made.settimeout(20)
        return made

    def ask(self, *parts: bytes, host: str = "127.0.0.1") -> bytes:
        """Send everything, and read all that comes until the server closes."""
        with self.connect(host) as sender:
            for part in parts:
                sender.sendall(part)
            return read_all(sender)


def read_all(sender: socket.socket) -> bytes:
    found = b""
    while block := sender.recv(1 << 16):
        found += block
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def posted(body: bytes, *more: bytes) -> bytes:
    return POST + b"".join(more) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    made = Hook(tmp_path)
    with made.server:
        yield made


def test_a_posted_event_is_accepted(hook: Hook) -> None:
    assert status(hook.ask(posted(EVENT, AUTH))) == HTTPStatus.ACCEPTED
    assert hook.told == ["k"]


def test_it_listens_on_both_families(hook: Hook) -> None:
    hosts = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]
    assert [status(hook.ask(b"GET / HTTP/1.1\r\n\r\n", host=host)) for host in hosts] == [200] * len(hosts)


def test_the_token_is_looked_at_before_the_body_comes(hook: Hook) -> None:
    """The sender says that a megabyte follows, sends none of it, and is answered."""
    assert status(hook.ask(POST + b"Content-Length: 1048576\r\n\r\n")) == HTTPStatus.UNAUTHORIZED
    assert status(hook.ask(POST + b"Content-Length: 99999999999\r\n\r\n")) == HTTPStatus.UNAUTHORIZED
    assert status(hook.ask(POST + b"\r\n")) == HTTPStatus.UNAUTHORIZED
    assert hook.told == []


@pytest.mark.parametrize("sent", [b"", b"POST / HT", POST + b"X: y", POST + AUTH + b"Content-Length: 99\r\n\r\n1234"])
def test_a_sender_without_an_end_is_cut_off_by_one_deadline_for_all(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """A byte now and then does not make the time longer."""
    monkeypatch.setattr(webhook_server, "CONNECTION_SECONDS", 0.5)
    with hook.connect() as sender:
        sender.sendall(sent)
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.1):
                try:
                    sender.sendall(b"x")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        assert status(read_all(sender)) == HTTPStatus.REQUEST_TIMEOUT
        ended.set()


def test_no_more_than_64_connections_have_a_thread_and_the_next_one_is_served_in_its_turn(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_server, "CONNECTION_SECONDS", 3.0)
    before = threading.active_count()
    held = [hook.connect() for _ in range(CONNECTIONS + 40)]
    for sender in held:
        sender.sendall(POST)
    until(lambda: threading.active_count() - before >= CONNECTIONS)
    time.sleep(0.3)
    assert threading.active_count() - before == CONNECTIONS
    assert status(hook.ask(posted(EVENT, AUTH))) == HTTPStatus.ACCEPTED
    for sender in held:
        sender.close()


def test_one_connection_has_one_answer(hook: Hook) -> None:
    """What follows a request (or is the body of a GET) is never taken for another one."""
    inner = posted(EVENT, AUTH)
    smuggled = b"GET / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    for sent in (smuggled, posted(EVENT, AUTH) + inner, posted(b"{}", AUTH) + inner):
        assert hook.ask(sent).count(b"HTTP/1.1") == 1
    assert hook.told == ["k"]


MALFORMED = [
    (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", 501),
    (b"transfer-encoding: identity\r\n", 501),
    (b"Content-Length: 2\r\nContent-Length: 3\r\n", 400),
    (b"Content-Length: +2\r\n", 400),
    (b"Content-Length: 2, 2\r\n", 400),
    (b"Content-Length: \xb2\r\n", 400),
    (b"Content-Length : 2\r\n", 400),
    (b"Content-Length: 2\r\n folded: x\r\n", 400),
    (b"Content-Length: 2\nX: y\r\n", 400),
    (b"Content-Length: 2\x00\r\n", 400),
    (b"Content-Length: 1048577\r\n", 413),
    (b"X: y\r\n", 411),
    (b"A: b\r\n" * 101, 400),
    (b"A: " + b"b" * 20000 + b"\r\n", 431),
]


@pytest.mark.parametrize(("fields", "wanted"), MALFORMED, ids=range(len(MALFORMED)))
def test_what_could_be_read_in_two_ways_is_refused(hook: Hook, fields: bytes, wanted: int) -> None:
    answer = hook.ask(POST + AUTH + fields + b"\r\n{}")
    assert status(answer) == wanted
    assert answer.count(b"HTTP/1.1") == 1


def test_a_refused_sender_of_a_large_body_hears_why(hook: Hook) -> None:
    """A reset would take the answer away."""
    assert status(hook.ask(posted(b"x" * (2 << 20), AUTH))) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert status(hook.ask(posted(b"x" * (1 << 20)))) == HTTPStatus.UNAUTHORIZED


def test_a_client_that_waits_for_leave_is_given_it(hook: Hook) -> None:
    with hook.connect() as sender:
        sender.sendall(POST + AUTH + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(EVENT))
        assert status(sender.recv(100)) == HTTPStatus.CONTINUE
        sender.sendall(EVENT)
        assert status(read_all(sender)) == HTTPStatus.ACCEPTED


def test_a_secret_that_is_gone_is_said_in_words(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.file.unlink()
    answer = hook.ask(posted(EVENT, AUTH))
    assert (status(answer), b"Retry-After" in answer) == (HTTPStatus.SERVICE_UNAVAILABLE, True)
    monkeypatch.setenv(names.ENV_WEBHOOK_PORT, "0")
    with pytest.raises(UserError, match="Secret hook has no key token"):
        hear_webhook.hear(hook.desk, hook.spec)
    hook.file.write_text(TOKEN)
    threading.Timer(0.2, hook.file.unlink).start()
    with pytest.raises(UserError, match="Secret hook has no key token"):
        hear_webhook.hear(hook.desk, hook.spec)


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        (b"Bearer t0ken", True),
        (b"bearer t0ken", True),
        (b"BEARER  t0ken", True),
        (b"Basic t0ken", False),
        (b"t0ken", False),
        (b"Bearert0ken", False),
        (b"Bearer", False),
        (b"Bearer T0KEN", False),
        (b"Bearer t0ken t0ken", False),
    ],
)
def test_the_scheme_of_the_token_counts_in_any_case(given: bytes, *, accepted: bool) -> None:
    head = parse(b"POST / HTTP/1.1\r\nAuthorization: " + given)
    if accepted:
        webhook_request.require_token(head, TOKEN)
        return
    with pytest.raises(RequestError):
        webhook_request.require_token(head, TOKEN)


def test_a_token_that_is_no_ascii_is_a_wrong_one(hook: Hook) -> None:
    assert status(hook.ask(posted(EVENT, b"Authorization: Bearer \xe9\r\n"))) == HTTPStatus.UNAUTHORIZED
    assert status(hook.ask(posted(EVENT, b"Authorization: Bearer\r\n"))) == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"9" * 9999])
def test_poison_is_refused_and_the_next_event_is_heard(hook: Hook, body: bytes) -> None:
    assert status(hook.ask(posted(body, AUTH))) == HTTPStatus.BAD_REQUEST
    assert hook.tally.counts["eventsUnread"] == 1
    assert status(hook.ask(posted(EVENT, AUTH))) == HTTPStatus.ACCEPTED


def test_once_it_is_told_to_stop_nothing_is_accepted(hook: Hook) -> None:
    hook.stop.set()
    assert status(hook.ask(posted(EVENT, AUTH))) == HTTPStatus.SERVICE_UNAVAILABLE
    assert hook.told == []


@given(st.binary(max_size=300))
def test_any_head_is_a_request_or_refused(text: bytes) -> None:
    for whole in (text, b"POST / HTTP/1.1\r\n" + text):
        try:
            head = parse(whole)
        except RequestError as error:
            assert error.status in {400, 501}  # noqa: PT017
        else:
            assert b"transfer-encoding" not in head.fields
            assert not any(b"\r" in value or b"\n" in value for value in head.fields.values())


def test_lengths_end_at_the_cap() -> None:
    fits, not_fits = (parse(POST + b"Content-Length: %d" % size) for size in (1 << 20, (1 << 20) + 1))
    assert webhook_request.body_length(fits) == 1 << 20
    with pytest.raises(RequestError):
        webhook_request.body_length(not_fits)


def mount(folder: Path, made: Path) -> None:
    """As a Secret of type kubernetes.io/tls is mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(made, folder / "tls.crt")
    shutil.copy(made.with_name("private.key"), folder / "tls.key")


def served(port: int, authority: Path) -> bytes:
    """One request by TLS, of a client that trusts this certificate alone."""
    context = ssl.create_default_context(cafile=str(authority))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as sender,
    ):
        sender.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return sender.recv(1 << 16)


def test_a_rotated_certificate_is_served_without_a_restart(hook: Hook, tmp_path: Path) -> None:
    first, second = (certificates.make(tmp_path / name) for name in ("first", "second"))
    folder = tmp_path / names.SECRETS_DIR / "hook-tls"
    mount(folder, first)
    certificate = Certificate(tmp_path, "hook-tls")
    with Server(0, hear_webhook.Webhook(hook.desk, hook.spec).answer, certificate.context) as server:
        assert status(served(server.port, first)) == HTTPStatus.OK
        mount(folder, second)
        assert status(served(server.port, second)) == HTTPStatus.OK
        (folder / "tls.crt").write_text("no certificate")
        assert status(served(server.port, second)) == HTTPStatus.OK
        (folder / "tls.key").unlink()
        assert status(served(server.port, second)) == HTTPStatus.OK


def test_plain_http_is_no_tls(hook: Hook, tmp_path: Path) -> None:
    made = certificates.make(tmp_path / "made")
    mount(tmp_path / names.SECRETS_DIR / "hook-tls", made)
    answer = hear_webhook.Webhook(hook.desk, hook.spec).answer
    with Server(0, answer, Certificate(tmp_path, "hook-tls").context) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sender:
            sender.sendall(posted(EVENT, AUTH))
            assert b"202" not in read_all(sender)
        assert status(served(server.port, made)) == HTTPStatus.OK
    assert hook.told == []


@pytest.mark.parametrize("files", [{}, {"tls.crt": "x"}, {"tls.crt": "x", "tls.key": "y"}])
def test_a_secret_without_a_certificate_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    folder = tmp_path / names.SECRETS_DIR / "hook-tls"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(UserError, match=r"Secret hook-tls .*kubectl create secret tls"):
        Certificate(tmp_path, "hook-tls")
