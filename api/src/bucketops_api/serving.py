"""Small HTTP servers (metrics, probes) with a bounded number of connections of bounded length."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

MOST_CONNECTIONS = 32
"""The oldest is cut for the next one: whoever holds connections open keeps nobody out."""
CONNECTION_SECONDS = 10.0
"""From accept to the end of the answer, however slowly bytes come and go."""
_READ_SECONDS = 5.0
App = Callable[..., Any]
"""https://peps.python.org/pep-3333/."""


def serve(app: App, listener: socket.socket) -> WSGIServer:
    """Serve a WSGI application from a thread of its own, to whoever connects to a socket that listens already."""
    server = _Bounded(listener)
    server.set_app(app)
    threading.Thread(target=server.serve_forever, name=f"listen-{server.server_port}", daemon=True).start()
    return server


class _Bounded(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        self._open: dict[socket.socket, float] = {}
        """Connections and when they came, the oldest first."""
        self._lock = threading.Lock()
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = "", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - of socketserver
        """Take a new connection, and cut the oldest one where there are too many."""
        with self._lock:
            while len(self._open) >= MOST_CONNECTIONS:
                self._cut(next(iter(self._open)))
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - of socketserver
        """Forget a connection that is over."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut connections that have lasted too long; socketserver calls this twice a second."""
        now = time.monotonic()
        with self._lock:
            for request in [one for one, since in self._open.items() if now - since > CONNECTION_SECONDS]:
                self._cut(request)

    def _cut(self, request: socket.socket) -> None:
        """Its thread notices, and closes it."""
        self._open.pop(request, None)
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - of socketserver
        """Say nothing: a client that went away, or was cut, is nobody's concern."""


class _Handler(WSGIRequestHandler):
    timeout = _READ_SECONDS

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - of http.server
        """Nothing: probes and scrapes come for ever."""
