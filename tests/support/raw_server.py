"""A server of raw bytes on loopback: reads whole requests and says, piece by piece, what a test wants said."""

from __future__ import annotations

import socket
import socketserver
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from support.loopback import ThreadedServer


@dataclass(frozen=True)
class Asked:
    """A request, with its body."""

    method: str
    path: str
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes


HANG_UP = None
"""As the last piece: the connection is closed."""
Piece = bytes | float | None
"""Bytes to say, seconds to wait, or HANG_UP."""
Script = Callable[[Asked], Iterable[Piece]]


class RawServer(ThreadedServer):
    """Answers each request by what `script` says to it; `early`: before it has read the request's body."""

    def __init__(self, script: Script, *, early: bool = False) -> None:
        self._script, self._early = script, early
        self.requests: list[Asked] = []

    def handler(self) -> type[socketserver.BaseRequestHandler]:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    while outer._one(self):
                        pass
                except (OSError, ValueError):
                    pass  # the client has gone

        return Handler

    def _one(self, handler: socketserver.StreamRequestHandler) -> bool:
        first = handler.rfile.readline().decode(errors="replace").split(" ")
        if len(first) != 3:
            return False
        headers = dict(_headers(handler))
        body = b"" if self._early else handler.rfile.read(int(headers.get("content-length", "0")))
        asked = Asked(first[0], first[1], headers, body)
        self.requests.append(asked)
        for piece in self._script(asked):
            if piece is None:
                handler.connection.shutdown(socket.SHUT_RDWR)
                return False
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                handler.wfile.write(piece)
        return True


def _headers(handler: socketserver.StreamRequestHandler) -> Iterator[tuple[str, str]]:
    while (line := handler.rfile.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode(errors="surrogateescape").partition(":")
        yield name.strip().lower(), value.strip()


def answer(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed answer."""
    lines = b"".join(b"%s\r\n" % header for header in headers)
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, lines, len(body), body)


def error(code: str, message: str = "no", **more: str) -> bytes:
    """The body of an error of S3."""
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, "Message": message, **more}.items())
    return f"<Error>{fields}</Error>".encode()
