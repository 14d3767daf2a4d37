"""A proxy that streams, in front of a real MinIO: of the events that pass it loses some, doubles some, moves some."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from support.loopback import ThreadedServer
from support.proxy import HOP_BY_HOP


class Chaos(ThreadedServer):
    """Listens on loopback. Everything but the stream of events passes as it is."""

    def __init__(self, target: str, chance: random.Random, *, faults: bool = True) -> None:
        self.target, self.chance, self.faults = urlsplit(target), chance, faults
        self.lost = self.doubled = self.moved = self.streams = 0
        self.open: set[socket.socket] = set()

    expected = (Exception,)
    """Cut connections are what this is about."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            chaos = self

        return Handler

    def __exit__(self, *exc: object) -> None:
        self.cut()
        super().__exit__(*exc)

    def cut(self) -> None:
        """End all streams of events at once."""
        for connection in list(self.open):
            connection.shutdown(socket.SHUT_RDWR)

    def worse(self, held: list[bytes], line: bytes) -> list[bytes]:
        """What becomes of an event; `held` is passed on after a later one."""
        if not self.faults:
            return [line]
        die = self.chance.random()
        if die < 0.1:
            self.lost += 1
            return []
        if die < 0.3:
            self.moved += 1
            held.append(line)
            return []
        out = [line, *held]
        held.clear()
        if die < 0.5:
            self.doubled += 1
            out.append(line)
        return out


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chaos: Chaos

    def handle_any(self) -> None:
        target = self.chaos.target
        upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                upstream.putheader(name, value)
        upstream.endheaders(body)
        with contextlib.closing(upstream):
            if "events=" in self.path:
                self._stream(upstream)
            else:
                self._pass(upstream.getresponse())

    def _pass(self, answer: http.client.HTTPResponse) -> None:
        data = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, upstream: http.client.HTTPConnection) -> None:
        """When the client asks for no more, neither do we."""
        chaos, own = self.chaos, upstream.sock
        chaos.streams += 1
        chaos.open.add(self.connection)
        threading.Thread(target=_until_shut, args=(self.connection, own), daemon=True).start()
        try:
            with upstream.getresponse() as answer:
                self._relay(answer)
        finally:
            chaos.open.discard(self.connection)
            own.close()

    def _relay(self, answer: http.client.HTTPResponse) -> None:
        chaos = self.chaos
        self.send_response_only(answer.status)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        held: list[bytes] = []
        rest = b""
        while data := answer.read1(65536):
            *lines, rest = (rest + data).split(b"\n")
            wanted = [one for line in lines if line.strip() for one in chaos.worse(held, line + b"\n")]
            self.wfile.write(b"".join(wanted) or b" ")
            self.wfile.flush()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _until_shut(client: socket.socket, upstream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.recv(1, socket.MSG_PEEK)
        upstream.shutdown(socket.SHUT_WR)
