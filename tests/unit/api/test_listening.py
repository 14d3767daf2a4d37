"""Servers of metrics and probes listen on both IP versions, and nobody can hold them for ever."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIServer

import pytest

from bucketops_api import listening, serving


def app(_: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"counts"]


@pytest.fixture
def server() -> Iterator[WSGIServer]:
    server = serving.serve(app, listening.bind(0))
    yield server
    server.shutdown()
    server.server_close()


def asked(server: WSGIServer, address: str) -> bytes:
    with socket.create_connection((address, server.server_port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    return answer


def addresses() -> list[str]:
    return ["127.0.0.1", "::1"] if listening.everywhere() == "::" else ["127.0.0.1"]


def test_both_ip_versions_are_answered(server: WSGIServer) -> None:
    for address in addresses():
        assert asked(server, address).endswith(b"\r\n\r\ncounts")


def test_one_address_can_be_named() -> None:
    server = serving.serve(app, listening.bind(0, "127.0.0.1"))
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert asked(server, "127.0.0.1").endswith(b"counts")
    server.shutdown()
    server.server_close()


def test_a_kernel_without_ipv6_is_served_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_family(*_: Any) -> None:
        raise OSError("Address family not supported by protocol")

    monkeypatch.setattr(listening.socket, "socket", no_such_family)
    assert listening.everywhere() == "0.0.0.0"


def test_idle_connections_keep_nobody_out_and_use_up_nothing(server: WSGIServer) -> None:
    """Each of them is cut for a later one: as many descriptors as there may be connections, and no more."""
    idle = [
        socket.create_connection(("127.0.0.1", server.server_port), 10) for _ in range(serving.MOST_CONNECTIONS + 8)
    ]
    try:
        assert asked(server, "127.0.0.1").endswith(b"counts")
        assert len(server._open) <= serving.MOST_CONNECTIONS  # type: ignore[attr-defined]  # noqa: SLF001
        assert idle[0].recv(1) == b""  # cut
    finally:
        for one in idle:
            one.close()


def test_a_client_that_sends_a_byte_now_and_then_is_cut(server: WSGIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONNECTION_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", server.server_port), 30) as slow:
        slow.sendall(b"GET / HT")
        assert slow.recv(1) == b""
