"""A server that shows what it was told: every header and the body of the request stand in its error."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from xml.sax.saxutils import escape

from support.loopback import ThreadedServer


class Echo(ThreadedServer):
    """Answers every request with one error."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code
        self.asked = 0
        """Requests so far."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        echo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                echo.asked += 1
                said = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
                words = escape(f"{self.requestline} {self.headers} {said}")
                body = f"<Error><Code>{echo.code}</Code><Message>{words}</Message></Error>".encode()
                self.send_response(echo.status, "no")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_CONNECT = _answer  # noqa: N815 - of http.server

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
