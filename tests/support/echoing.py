"""A server that shows what it was told: every header and the body of the request stand in its error."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from xml.sax.saxutils import escape


class Echo:
    """Answers every request with one error."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code
        self.asked = 0
        """Requests so far."""

    def __enter__(self) -> Self:
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

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"
