"""An HTTP proxy in front of a real server: counts requests, and may answer, delay or cut some of them itself."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from support.loopback import ThreadedServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}


@dataclass
class Request:
    """What a client asks for."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def bucket(self) -> str:
        return urlsplit(self.path).path.lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        return urlsplit(self.path).path.lstrip("/").partition("/")[2]


@dataclass
class Answer:
    """What the proxy answers itself.

    `cut`: the connection is closed instead. `late`: the server does what it was asked for, and nobody hears of it.
    """

    status: int = 503
    body: bytes = b""
    cut: bool = False
    late: bool = False


class Broken(bytes):
    """A body of an answer in whose middle the connection is closed."""


Rule = Callable[[Request], Answer | None]


def pass_all(_: Request) -> Answer | None:
    """The rule of a proxy that only counts."""
    return None


class Hold:
    """A rule: of the requests that match, all wait that come after the first few; `let` lets more of them through."""

    def __init__(self, matches: Callable[[Request], bool]) -> None:
        self._matches, self._let, self.came = matches, 0, 0
        self._dropped: set[int] = set()
        self._changed = threading.Condition()

    def __call__(self, request: Request) -> Answer | None:
        if self._matches(request):
            with self._changed:
                self.came += 1
                number = self.came
                self._changed.wait_for(lambda: number <= self._let or number in self._dropped)
                if number in self._dropped:
                    return Answer(cut=True)
        return None

    def let(self, number: int) -> None:
        """Let so many through, counted from the beginning."""
        with self._changed:
            self._let = number
            self._changed.notify_all()

    def drop(self) -> None:
        """Those that wait never reach the server: who sent them is dead."""
        with self._changed:
            self._dropped |= set(range(self._let + 1, self.came + 1))
            self._changed.notify_all()


@dataclass
class Proxy(ThreadedServer):
    """Listens on loopback and passes to `target`; the Host header stays as the client signed it."""

    target: str
    rule: Rule = pass_all
    after: Callable[[Request, int], None] = lambda *_: None
    """Called with each request and the server's status once the server has answered."""
    body: Callable[[Request, bytes], bytes] = lambda _, data: data
    """What of the server's answer is passed on."""
    headers: Callable[[Request, dict[str, str]], dict[str, str]] = lambda _, found: found
    """The same of its headers."""
    counts: Counter[str] = field(default_factory=Counter)
    """By `<METHOD> <bucket>`."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        return _handler(self)


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - the methods of one class
    host = urlsplit(proxy.target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.upstream = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)

        def finish(self) -> None:
            self.upstream.close()
            super().finish()

        def handle_any(self) -> None:
            request = Request(self.command, self.path, dict(self.headers))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.counts[f"{request.method} {request.bucket}"] += 1
            own = proxy.rule(request)
            if own is None or own.late:
                status, headers, data = self._pass(request, body)
            if own is None:
                self._reply(status, proxy.headers(request, headers), proxy.body(request, data))
            elif own.cut:
                self.close_connection = True
            else:
                self._reply(own.status, {}, own.body)

        def _pass(self, request: Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
            self.upstream.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.upstream.putheader(name, value)
            self.upstream.endheaders(body)
            answer = self.upstream.getresponse()
            data = answer.read()
            proxy.after(request, answer.status)
            return answer.status, dict(answer.getheaders()), data

        def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                broken = isinstance(body, Broken)
                self.wfile.write(body[: len(body) // 2] if broken else body)
                self.close_connection = self.close_connection or broken

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
