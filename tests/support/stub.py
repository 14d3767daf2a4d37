"""An HTTP server on loopback that answers each CopyObject after a while, as many at once as a test allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from support.loopback import LoopbackServer

_COPIED = (
    b'<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>"%032x"</ETag>'
    b"<LastModified>2026-01-01T00:00:00.000Z</LastModified></CopyObjectResult>"
)
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class SlowServer(LoopbackServer):
    """Who is one too many is refused with SlowDown at once; `latency` None: nobody is ever answered."""

    def __init__(self, latency: float | None, room: Callable[[int], int] = lambda _: 1 << 30) -> None:
        self._latency = latency
        self._room = room
        self.active = self.answered = self.refused = self.most = 0

    async def answer(self, _: bytes) -> tuple[bytes, bool]:
        status, body = await self._answered()
        return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body), True

    async def _answered(self) -> tuple[int, bytes]:
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
