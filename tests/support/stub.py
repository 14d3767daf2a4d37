"""An HTTP server on loopback that answers each CopyObject after a while, as many at once as a test allows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Self

_COPIED = (
    b'<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>"%032x"</ETag>'
    b"<LastModified>2026-01-01T00:00:00.000Z</LastModified></CopyObjectResult>"
)
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class SlowServer:
    """Who is one too many is refused with SlowDown at once; `latency` None: nobody is ever answered."""

    def __init__(self, latency: float | None, room: Callable[[int], int] = lambda _: 1 << 30) -> None:
        self._latency = latency
        self._room = room
        self.active = self.answered = self.refused = self.most = 0

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

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.05, self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                status, body = await self._answer()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self) -> tuple[int, bytes]:
        if self.active >= self._room(self.answered):
            self.refused += 1
            return 503, _SLOW_DOWN
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            await asyncio.sleep(1 << 30 if self._latency is None else self._latency)
        finally:
            self.active -= 1
        self.answered += 1
        return 200, _COPIED % self.answered
