"""A forward proxy on loopback: passes plain requests on and opens tunnels, to whoever knows its password."""

from __future__ import annotations

import base64
import socket
import socketserver
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from support.loopback import ThreadedServer

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"


class ForwardProxy(ThreadedServer):
    """`heads` are the requests that it was sent; `refusal` is its answer to all of them."""

    def __init__(self, password: str = "", refusal: bytes = b"") -> None:
        self._proof = f"Basic {base64.b64encode(password.encode()).decode()}" if password else ""
        self._refusal = refusal
        self.heads: list[str] = []

    def handler(self) -> type[socketserver.BaseRequestHandler]:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, ValueError):  # one of both has gone
                    while outer._one(self):
                        pass

        return Handler

    def _one(self, handler: socketserver.StreamRequestHandler) -> bool:
        lines = [handler.rfile.readline().decode()]
        while lines[-1].strip():
            lines.append(handler.rfile.readline().decode())
        if len(lines) == 1:
            return False
        self.heads.append("".join(lines))
        if self._refusal or self._proof not in self.heads[-1]:
            handler.wfile.write(self._refusal or REFUSED)
            return True
        method, target, _ = lines[0].split(" ", 2)
        if method == "CONNECT":
            self._tunnel(handler, target)
            return False
        self._pass_on(handler, lines)
        return True

    def _tunnel(self, handler: socketserver.StreamRequestHandler, target: str) -> None:
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            handler.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_relay, args=(upstream, handler.connection), daemon=True)
            back.start()
            _relay(handler.connection, upstream)
            back.join()

    def _pass_on(self, handler: socketserver.StreamRequestHandler, lines: list[str]) -> None:
        """By a connection of its own, which the server closes: so the answer has an end that is easily told."""
        method, target, version = lines[0].split(" ")
        url = urlsplit(target)
        path = url.path + (f"?{url.query}" if url.query else "")
        kept = [line for line in lines[1:-1] if not line.lower().startswith("proxy-")]
        length = next((int(line.split(":")[1]) for line in kept if line.lower().startswith("content-length")), 0)
        with socket.create_connection((url.hostname or "", url.port or 80)) as upstream:
            upstream.sendall("".join([f"{method} {path} {version}", *kept, "Connection: close\r\n\r\n"]).encode())
            upstream.sendall(handler.rfile.read(length))
            _relay(upstream, handler.connection)


def _relay(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
