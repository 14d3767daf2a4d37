"""How a connection to a bucket's host is opened: by either IP version, through a proxy, with TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.s3.connection import LONGEST_HEADERS, Connection, keep_alive
from bucketops_jobs.s3.proxies import Proxy

HAPPY_EYEBALLS_SECONDS = 0.25
"""Until the next address of a host is tried beside the first: https://www.rfc-editor.org/rfc/rfc8305#section-5."""
_PROXY_AUTHENTICATION = 407


class Route:
    """The way to one host."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        self._host, self._port, self._tls, self.proxy = host, port, tls, proxy

    async def connect(self, loop: asyncio.AbstractEventLoop, make: Callable[[], Connection]) -> Connection:
        """Open a connection; OSError, or UserError from a proxy that asks for a password."""
        if self.proxy is not None and self._tls is not None:
            return await self._tunnel(loop, self.proxy, self._tls, make())
        if self.proxy is not None:
            host, port, tls = self.proxy.host, self.proxy.port, trust(None) if self.proxy.tls else None
        else:
            host, port, tls = self._host, self._port, self._tls
        _, connection = await loop.create_connection(
            make, host, port, ssl=tls, happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS
        )
        return connection

    async def _tunnel(
        self, loop: asyncio.AbstractEventLoop, proxy: Proxy, tls: ssl.SSLContext, connection: Connection
    ) -> Connection:
        """https://www.rfc-editor.org/rfc/rfc9110#name-connect."""
        outer, asked = await loop.create_connection(
            _Tunnel,
            proxy.host,
            proxy.port,
            ssl=trust(None) if proxy.tls else None,
            happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
        )
        try:
            status = await asked.ask(self._host, self._port, proxy.authorization)
            require_tunnel(status, proxy)
            inner = await loop.start_tls(outer, connection, tls, server_hostname=self._host)
        except BaseException:
            outer.abort()
            raise
        if inner is None:
            raise ConnectionResetError(f"the proxy {proxy} closed the connection")
        connection.connection_made(inner)
        return connection


def require_tunnel(status: int, proxy: Proxy) -> None:
    """Raise what a proxy's answer to CONNECT means, unless it opens the way."""
    if status == _PROXY_AUTHENTICATION:
        raise refused_by(proxy)
    if status // 100 != 2:  # noqa: PLR2004 - successful
        raise ConnectionRefusedError(f"the proxy {proxy} answers CONNECT with {status}")


def refused_by(proxy: Proxy) -> UserError:
    """What 407 of a proxy means: https://www.rfc-editor.org/rfc/rfc9110#name-407-proxy-authentication-re."""
    return UserError(
        Reason.ENDPOINT_UNREACHABLE,
        f"the proxy {proxy} asks for a password (407): write it into HTTP_PROXY and HTTPS_PROXY, as "
        "http://USER:PASSWORD@HOST:PORT, or name the endpoint in NO_PROXY",
    )


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self._transport = transport
        keep_alive(transport.get_extra_info("socket"))

    async def ask(self, host: str, port: int, authorization: str) -> int:
        """The status of the proxy's answer."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        proof = f"Proxy-Authorization: {authorization}\r\n" if authorization else ""
        self._transport.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{proof}\r\n".encode())
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Of asyncio. The server behind the tunnel waits for our first word: nothing follows the answer's head."""
        self._received += data
        if self._answer.done():
            return
        if b"\r\n\r\n" in self._received:
            self._settle(self._received)
        elif len(self._received) > LONGEST_HEADERS:
            self._answer.set_exception(ConnectionAbortedError("the proxy's answer does not end"))

    def _settle(self, head: bytes) -> None:
        version, _, rest = head.partition(b" ")
        if version.startswith(b"HTTP/1.") and rest[:3].isdigit():
            self._answer.set_result(int(rest[:3]))
        else:
            self._answer.set_exception(ConnectionAbortedError("the proxy does not speak HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio."""
        if not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the proxy closed the connection"))


@cache
def trust(ca: Path | None) -> ssl.SSLContext:
    """The system's authorities, or those of one file alone; TLS 1.2 at least."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
