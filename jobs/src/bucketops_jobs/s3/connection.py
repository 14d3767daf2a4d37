"""One HTTP/1.1 connection on asyncio: one request at a time, its answer parsed by llhttp (httptools)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bucketops_jobs.errors import TooLargeError, TransientError, WorkerError
from bucketops_jobs.s3.signing import Credentials
from bucketops_jobs.s3.wire import Request, Response

Done = Callable[[Response | WorkerError], None]
WHOLE = 8 << 20
"""Bytes of the largest object that is held in memory."""
_HEADED = frozenset({"GetObject", "HeadObject", "PutObject"})
"""Calls whose answer is (partly) in its headers."""
_FINAL = 200
"""Lower ones only announce the answer: https://www.rfc-editor.org/rfc/rfc9110#name-informational-1xx."""


@dataclass(slots=True, eq=False)
class Flight:
    """A request under way."""

    request: Request
    what: str
    data: bytes
    """As it goes over the wire."""
    done: Done
    deadline: float
    who: Credentials
    """Whom it is signed for."""
    connection: Connection | None = None
    over: bool = False


class Owner(Protocol):
    """Of connections; told everything on the thread of the event loop."""

    def answered(self, flight: Flight, answer: Response | WorkerError) -> None:
        """A request is over."""

    def freed(self, connection: Connection) -> None:
        """It may carry another request."""

    def lost(self, connection: Connection, unheard: Flight | None) -> None:
        """It is closed; `unheard` was sent over a connection that had been free, and nothing came back."""


class Connection(asyncio.BufferedProtocol):
    """Carries requests until one side closes it."""

    _BUFFER = memoryview(bytearray(256 << 10))
    """Of all connections: one thread reads, and parses what it has read at once."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport
        self._flight: Flight | None = None
        self._carried = 0
        self.since = 0.0
        """When it was last free, on the monotonic clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection gives, for mypy
        self._transport = transport

    def carry(self, flight: Flight) -> None:
        """Send a request; the connection is free."""
        self._flight, flight.connection = flight, self
        self._carried += 1
        self._heard = self._complete = self._stays = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._parser = HttpResponseParser(self)
        self._transport.write(flight.data)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._flight = None
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - of asyncio
        """Of asyncio. A `bytes` of that size for each read costs more than to parse it."""
        return self._BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Of asyncio."""
        flight = self._flight
        if flight is None:
            self.abort()  # nobody asked
            return
        self._heard = True
        try:
            self._parser.feed_data(self._BUFFER[:nbytes])
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(flight, TransientError(f"{flight.what}: this is no answer of HTTP: {error}"))
            return
        if flight.over:
            self.abort()
        elif self._complete:
            self._finish(flight)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio."""
        flight, self._flight = self._flight, None
        again = flight is not None and self._carried > 1 and not self._heard
        if flight is not None and not again:
            why = exc or "it was closed"
            self._owner.answered(flight, TransientError(f"{flight.what}: connection lost before the answer: {why}"))
        self._owner.lost(self, flight if again else None)

    def on_message_begin(self) -> None:
        """Of httptools."""
        if self._complete:
            raise ValueError("one answer too many")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of httptools."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Of httptools."""
        flight, status = self._flight, self._parser.get_status_code()
        if flight is None or status < _FINAL:
            return
        if flight.request.method == "HEAD":
            self._complete = True  # there is no body, whatever the headers say
            self._stays = self._parser.should_keep_alive()
        elif flight.request.operation == "GetObject" and (length := _length(self._headers)) > WHOLE:
            what = f"{flight.what}: {length} bytes are more than one request carries"
            self._owner.answered(flight, TooLargeError(what))

    def on_body(self, body: bytes) -> None:
        """Of httptools."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Of httptools."""
        if self._parser.get_status_code() < _FINAL:
            self._headers.clear()
        else:
            self._complete = True
            self._stays = self._parser.should_keep_alive()  # afterwards it speaks of the next message

    def _finish(self, flight: Flight) -> None:
        wanted = self._headers if flight.request.operation in _HEADED else []
        headers = [(name.decode(), _text(value)) for name, value in wanted]
        answer = Response(self._parser.get_status_code(), headers, b"".join(self._body))
        if self._stays:
            self._flight, self.since = None, time.monotonic()
            self._owner.freed(self)
        else:
            self.abort()
        self._owner.answered(flight, answer)

    def _fail(self, flight: Flight, error: WorkerError) -> None:
        self.abort()
        self._owner.answered(flight, error)


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    return next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)


def _text(value: bytes) -> str:
    """What is no UTF-8 survives the way there and back."""
    return value.decode(errors="surrogateescape")
