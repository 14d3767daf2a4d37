"""How a connection is opened: TCP keep-alive, TLS 1.2 at least, by either IP version, to a proxy that is trusted."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.s3 import route
from bucketops_jobs.s3.connection import Connection
from bucketops_jobs.s3.http import Wire
from bucketops_jobs.s3.signing import Credentials
from bucketops_jobs.s3.wire import Place, Request
from support import certificates
from support.raw_server import RawServer, answer

GET = Request("GetObject", "GET", "/bucket/key")
OK = answer(b"ok")
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
"""A server of old times is the matter."""


@contextmanager
def wire_to(host: str, *, ca: Path | None = None, tls: bool = False) -> Iterator[Wire]:
    wire = Wire(Place(tls, host, "/bucket/"), "us-east-1", partial(Credentials, "user", "password"), ca)
    try:
        yield wire
    finally:
        wire.close()


def test_tcp_notices_a_peer_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets: list[socket.socket] = []
    made = Connection.connection_made

    def seen(self: Connection, transport: Any) -> None:
        made(self, transport)
        sockets.append(transport.get_extra_info("socket"))

    monkeypatch.setattr(Connection, "connection_made", seen)
    with RawServer(lambda _: [OK]) as server, wire_to(server.host) as wire:
        wire.ask(GET, "get")
        [one] = sockets
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, between, probes = (one.getsockopt(socket.IPPROTO_TCP, option) for option in
                                 (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT))  # fmt: skip
        assert idle + between * probes <= 60


@contextmanager
def tls_server(folder: Path, newest: ssl.TLSVersion) -> Iterator[tuple[str, Path]]:
    """One that speaks TLS up to a version, and answers OK."""
    ca = certificates.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, folder / "private.key")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # it is closed
                while True:
                    accepted, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(accepted, server_side=True) as one:
                        one.recv(1 << 16)
                        one.sendall(OK)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", ca
        listener.shutdown(socket.SHUT_RDWR)


def test_a_server_that_speaks_tls_1_1_alone_is_refused_in_words(tmp_path: Path) -> None:
    """That it could be spoken to is shown by a client that takes anything."""
    with tls_server(tmp_path / "tls", ssl.TLSVersion.TLSv1_1) as (host, ca):
        lax = ssl.create_default_context(cafile=ca)
        lax.minimum_version = ssl.TLSVersion.TLSv1
        lax.set_ciphers("ALL:@SECLEVEL=0")
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port))) as plain, lax.wrap_socket(plain, server_hostname=name) as one:
            assert one.version() == "TLSv1.1"
        with (
            wire_to(host, ca=ca, tls=True) as wire,
            pytest.raises(UserError, match=r"neither TLS 1\.2 nor 1\.3") as raised,
        ):
            wire.ask(GET, "get")
    assert raised.value.reason is Reason.ENDPOINT_UNREACHABLE


def test_tls_1_2_is_spoken(tmp_path: Path) -> None:
    with tls_server(tmp_path / "tls", ssl.TLSVersion.TLSv1_2) as (host, ca), wire_to(host, ca=ca, tls=True) as wire:
        assert wire.ask(GET, "get").body == b"ok"


@contextmanager
def silent() -> Iterator[int]:
    """A port of ::1 that is listened to, but takes no connection: its queue is full."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=1) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket(socket.AF_INET6) for _ in range(8)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(("::1", port))
        yield port
        for one in waiting:
            one.close()


def test_an_address_that_does_not_answer_holds_nobody_up_where_the_other_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name has a dead address of IPv6 and a live one of IPv4: https://www.rfc-editor.org/rfc/rfc8305."""
    with silent() as dead, RawServer(lambda _: [OK]) as server:
        live = int(server.host.rpartition(":")[2])
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", dead, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", live)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with wire_to("store.example") as wire:
            assert wire.ask(GET, "get").body == b"ok"


def test_a_proxy_by_tls_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate is looked at like a server's: nothing is sent to one that nobody vouches for."""
    with tls_server(tmp_path / "tls", ssl.TLSVersion.TLSv1_3) as (host, ca):
        monkeypatch.setenv("http_proxy", f"https://user:s3cret@{host}")
        monkeypatch.delenv("no_proxy", raising=False)
        with wire_to("store.example") as wire, pytest.raises(UserError, match="CERTIFICATE_VERIFY_FAILED") as raised:
            wire.ask(GET, "get")
        assert "s3cret" not in str(raised.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        route.trust.cache_clear()
        with wire_to("store.example") as wire:
            assert wire.ask(GET, "get").body == b"ok"
    route.trust.cache_clear()
