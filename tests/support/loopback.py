"""Servers on loopback for as long as a context lasts: by one event loop, or by a thread per connection.

What they say is their subclasses' business.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from abc import ABC, abstractmethod
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self

LOOK = 0.05
"""Seconds between two looks whether a server is to end."""


class ThreadedServer(ABC):
    """Serves each connection by a handler in a thread of its own."""

    expected: tuple[type[Exception], ...] = (ConnectionError,)
    """What a handler may raise without a word: clients that were killed are what tests are about."""

    def __enter__(self) -> Self:
        self._server = _Threads(self.handler(), self.expected)
        threading.Thread(target=self._server.serve_forever, args=(LOOK,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @abstractmethod
    def handler(self) -> type[BaseRequestHandler]:
        """Return what serves a connection."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"


class _Threads(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, handler: type[BaseRequestHandler], expected: tuple[type[Exception], ...]) -> None:
        self._expected = expected
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), self._expected):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class LoopbackServer(ABC):
    """Answers what `answer` says, one request after the other on each connection; `connections` counts these."""

    connections = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    @abstractmethod
    async def answer(self, request: bytes) -> tuple[bytes, bool]:
        """The bytes to say to the head of a request, and whether the connection stays open."""

    @property
    def host(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.05, self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            stays = True
            while stays:
                said, stays = await self.answer(await reader.readuntil(b"\r\n\r\n"))
                writer.write(said)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
