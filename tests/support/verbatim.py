"""An HTTP server on loopback that answers with the very bytes that a test gives it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import NamedTuple, Self


class Last(NamedTuple):
    """An answer (or what there is of it) after which the connection is closed."""

    answer: bytes = b""


class VerbatimServer:
    """One answer per request, in order of arrival; then it says nothing, for ever."""

    def __init__(self, answers: Iterable[bytes | Last]) -> None:
        self._answers = iter(answers)
        self.connections = 0
        self.requests: list[bytes] = []

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
    def host(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.05, self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(request)
                answer = next(self._answers, None)
                if answer is None:
                    await asyncio.sleep(1 << 20)
                elif isinstance(answer, Last):
                    writer.write(answer.answer)
                    break
                else:
                    writer.write(answer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
