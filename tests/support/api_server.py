"""The API server as an operator on this machine sees it: through a proxy that refuses, cuts and goes away.

`kubectl proxy` speaks to the cluster; what is here stands before it, and lets watches stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from bucketops_operator.local_worker import free_port
from support.proxy import HOP_BY_HOP


@dataclass(frozen=True)
class Call:
    """What the operator asks for."""

    method: str
    path: str
    body: dict[str, Any] = field(repr=False)

    @property
    def writes(self) -> bool:
        """Events are only told."""
        return self.method != "GET" and not self.path.endswith("/events")


class ApiServer:
    """Listens on loopback for as long as the context lasts."""

    def __init__(self, kubectl: str) -> None:
        self._kubectl = kubectl
        self.rule: Callable[[Call], int | None] = lambda _: None
        """The status that the proxy answers itself, if any."""
        self.after: Callable[[Call], None] = lambda _: None
        """Called once the cluster has answered, before the operator hears of it."""
        self.refused = 0
        self._away = False
        self._open: set[asyncio.BaseTransport] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        command = [self._kubectl, "proxy", "--port=0"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        found = re.search(r"127\.0\.0\.1:\d+", line)
        assert found, f"kubectl proxy does not come up: {line}"
        self._target = f"http://{found[0]}"
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(30)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._process.terminate()
        self._process.communicate(timeout=10)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody is there: connections are cut, also those that watch, and new ones at once."""
        self._away = True
        self._loop.call_soon_threadsafe(self._cut)
        try:
            yield
        finally:
            self._away = False

    def cut(self) -> None:
        """End everything that is under way; new connections are welcome."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for transport in list(self._open):
            transport.abort()  # type: ignore[attr-defined]

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        async with ClientSession(auto_decompress=False, timeout=ClientTimeout(total=None)) as self._client:
            app = web.Application(client_max_size=64 << 20)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            ready.set()
            await self._stop.wait()
            self._cut()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        async with self._known(request):
            data = await request.read()
            call = Call(request.method, request.path, json.loads(data) if data else {})
            if self._away:
                self._cut()
                return web.Response()
            if (status := self.rule(call)) is not None:
                self.refused += 1
                return _refusal(status)
            return await self._passed(request, data, call)

    @asynccontextmanager
    async def _known(self, request: web.Request) -> AsyncIterator[None]:
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        try:
            yield
        finally:
            self._open.discard(transport)

    async def _passed(self, request: web.Request, data: bytes, call: Call) -> web.StreamResponse:
        kept = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP | {"host"}}
        asked = self._client.request(request.method, self._target + request.path_qs, data=data or None, headers=kept)
        async with asked as answer:
            self.after(call)
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=headers)
            with contextlib.suppress(ConnectionError, ClientError):  # who asked is gone
                await response.prepare(request)
                async for part in answer.content.iter_any():
                    await response.write(part)
                await response.write_eof()
            return response


def _refusal(status: int) -> web.Response:
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/."""
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError"}
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status}
    told |= {"reason": reasons[status], "message": "refused on purpose"}
    return web.json_response(told, status=status, headers={"Retry-After": "1"} if status != 409 else {})
