"""One HTTP/1.1 connection on asyncio: one request at a time, its answer parsed by llhttp (httptools).

An answer is input: it is bounded in bytes, and whatever goes wrong while it is read is an error of its request.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bucketops_jobs.errors import ItemError, TooLargeError, TransientError, WorkerError
from bucketops_jobs.s3.signer import Proof
from bucketops_jobs.s3.wire import SUCCESS, Request, Response, blocks

WHOLE = 8 << 20
"""Bytes of the largest object that is held in memory."""
LONGEST_ANSWER = 16 << 20
"""Bytes of what is no object: a page of 1,000 keys, or 1,000 refusals, has at most half of it."""
LONGEST_REFUSAL = 1 << 20
LONGEST_HEADERS = 64 << 10
"""Bytes of an answer's headers together; S3 itself allows 8 KiB."""
EXPECT_SECONDS = 1.0
"""A server that says neither "100 Continue" nor anything else by then gets the body nevertheless.

https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
"""
_SMALL = 1 << 10
"""Bytes of a chunk that is kept together with the next ones."""
_EXPECT = b"expect: 100-continue\r\n\r\n"
_AT_ONCE = 64 << 10
"""Bytes of a body that go with the head in one packet's write, and are sent before anybody can refuse them."""
_HEADED = frozenset({"GetObject", "HeadObject", "ListObjectsV2", "PutObject", "UploadPart"})
"""Calls whose answer is (partly) in its headers."""
_FINAL = 200
"""Lower ones only announce the answer: https://www.rfc-editor.org/rfc/rfc9110#name-informational-1xx."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds, seconds, probes: what is on the way forgets no connection, and a dead peer is noticed in a minute."""

Field = tuple[bytes, bytes]
"""Name and value of a header."""


@dataclass(slots=True, eq=False)
class Flight:
    """A request under way."""

    request: Request
    what: str
    head: bytes
    """As it goes over the wire."""
    proof: Proof
    """How it is signed."""
    read: Callable[[Response], Any]
    """What is made of an answer that is no refusal."""
    done: Callable[[Any], None]
    """Called once with that, or with a WorkerError."""
    deadline: float
    """On the monotonic clock; later while the body goes out, up to `latest`."""
    latest: float
    patience: float
    """Seconds without a byte of the body sent, or until the answer comes."""
    connection: Connection | None = None
    over: bool = False
    asks: bool = False
    """Whether it asks the server to go on before it sends its body."""
    sent: int = 1
    """Times that it was signed and sent."""
    vouches: bool = False
    """Whether it only asks if the signer is still believed."""


class Owner(Protocol):
    """Of connections; told everything on the thread of the event loop."""

    def answered(self, flight: Flight, answer: Response | WorkerError) -> None:
        """A request is over."""

    def freed(self, connection: Connection) -> None:
        """It may carry another request."""

    def lost(self, connection: Connection, unheard: Flight | None) -> None:
        """It is closed; `unheard` is to be sent again: nothing came back, for a reason that may be the connection's."""


class Connection(asyncio.BufferedProtocol):
    """Carries requests until one side closes it."""

    _BUFFER = memoryview(bytearray(256 << 10))
    """Of all connections: one thread reads, and parses what it has read at once."""

    def __init__(self, owner: Owner, host: str) -> None:
        self._owner = owner
        self.host = host
        """To which it leads."""
        self._transport: asyncio.Transport
        self._flight: Flight | None = None
        self._carried = 0
        self._writable = True
        self._body_out: Iterator[bytes | memoryview] | None = None
        """What of the request's body is still to be sent."""
        self.since = 0.0
        """When it was last free, on the monotonic clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection gives, for mypy
        self._transport = transport
        keep_alive(transport.get_extra_info("socket"))

    def carry(self, flight: Flight) -> None:
        """Send a request; the connection is free."""
        self._flight, flight.connection = flight, self
        self._carried += 1
        self._heard = self._headed = self._complete = self._stays = self._measured = False
        self._fields: list[Field] = []
        self._headers: list[Field] = []
        self._body: list[bytes | bytearray] = []
        self._size = self._most = self._unread = 0
        self._parser = HttpResponseParser(self)
        body = flight.request.body
        if not flight.asks and isinstance(body, bytes) and len(body) <= _AT_ONCE:
            self._transport.write(flight.head + body if body else flight.head)
            return
        self._body_out = blocks(body)
        if flight.asks:
            self._transport.write(flight.head[:-2] + _EXPECT)
            asyncio.get_running_loop().call_later(EXPECT_SECONDS, self._go_on, flight)
        else:
            self._transport.write(flight.head)
            self._go_on(flight)

    def _go_on(self, flight: Flight) -> None:
        """Send as much of the body as goes out now."""
        if self._flight is not flight or self._body_out is None or flight.over:
            return
        try:
            for block in self._while_writable(self._body_out):
                self._transport.write(block)
                flight.deadline = min(flight.latest, time.monotonic() + flight.patience)
        except (OSError, ValueError) as error:  # of the file that it comes from
            self._fail(flight, TransientError(f"{flight.what}: its body cannot be read: {error}"))

    def _while_writable(self, body: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        while self._writable and not self._transport.is_closing():
            block = next(body, None)
            if block is None:
                self._body_out = None
                return
            yield block

    def pause_writing(self) -> None:
        """Of asyncio."""
        self._writable = False

    def resume_writing(self) -> None:
        """Of asyncio."""
        self._writable = True
        if self._flight is not None and self._body_out is not None:
            self._go_on(self._flight)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._flight = self._body_out = None
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
        self._unread += nbytes  # until a header or a body comes of it
        try:
            self._parser.feed_data(self._BUFFER[:nbytes])
        except (HttpParserError, HttpParserUpgrade) as error:
            if not flight.over:
                self._fail(flight, TransientError(f"{flight.what}: this is no answer of HTTP: {error}"))
                return
        if flight.over:
            self.abort()
        elif self._complete:
            self._finish(flight)
        elif self._unread > LONGEST_HEADERS + len(self._BUFFER):
            self._fail(flight, _long_headers(flight))
        elif self._headed and not self._measured:
            self._measure(flight)

    def _measure(self, flight: Flight) -> None:
        """Once for an answer that did not come at once: what it says to have is not waited for if it is too much."""
        self._measured = True
        if _length(self._headers) > self._most:
            self._fail(flight, _too_long(flight, self._most))

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio."""
        flight, self._flight = self._flight, None
        self._body_out = None
        again = flight is not None and not self._heard and self._worth_another(flight)
        if flight is not None and not again:
            why = exc or "it was closed"
            self._owner.answered(flight, TransientError(f"{flight.what}: connection lost before the answer: {why}"))
        self._owner.lost(self, flight if again else None)

    def _worth_another(self, flight: Flight) -> bool:
        """A free connection may be closed at any moment; and who refuses a body before it has read it may hang up.

        The refusal is lost then, for the body fails to be sent first: so the server is asked before it is sent again.
        https://www.rfc-editor.org/rfc/rfc9112#name-retrying-requests, …/rfc9110#section-10.1.1
        """
        large = len(flight.request.body) > _AT_ONCE and not flight.asks
        flight.asks = flight.asks or large
        return large or self._carried > 1

    def on_message_begin(self) -> None:
        """Of httptools."""
        if self._complete:
            raise ValueError("one answer too many")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of httptools; called a dozen times for each answer, so what is read is counted, not what is heard."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Of httptools."""
        flight, status = self._flight, self._parser.get_status_code()
        if flight is None or status < _FINAL:
            return
        if self._unread > LONGEST_HEADERS and _size(self._fields) > LONGEST_HEADERS:
            self._refuse(_long_headers(flight))
        self._headed, self._unread = True, 0
        self._headers, self._fields = self._fields, []  # what is behind the body is none of them
        if flight.request.method == "HEAD":
            self._complete = True  # there is no body, whatever the headers say
            self._stays = self._parser.should_keep_alive()
            return
        self._most = _most(flight, status)

    def on_body(self, body: bytes) -> None:
        """Of httptools."""
        if self._complete:
            self._stays = False  # HEAD has no body; what comes for one is none of the next answer
            return
        self._size += len(body)
        self._unread = 0
        if self._size > self._most and self._flight is not None:
            self._refuse(_too_long(self._flight, self._most))
        if len(body) >= _SMALL:
            self._body.append(body)
        elif self._body and isinstance(self._body[-1], bytearray):
            self._body[-1] += body  # an object of Python for each byte would need the room of forty
        else:
            self._body.append(bytearray(body))

    def on_message_complete(self) -> None:
        """Of httptools."""
        if self._parser.get_status_code() < _FINAL:
            self._fields.clear()
            if self._flight is not None:
                self._go_on(self._flight)
        else:
            self._complete = True
            self._stays = self._parser.should_keep_alive()  # afterwards it speaks of the next message

    def _refuse(self, error: WorkerError) -> None:
        """No more of this answer is read, and what there was of it is dropped."""
        flight = self._flight
        self._headers, self._fields, self._body = [], [], []
        if flight is not None:
            self._owner.answered(flight, error)
        raise error  # llhttp stops at it

    def _finish(self, flight: Flight) -> None:
        status = self._parser.get_status_code()
        wanted = self._headers if flight.request.operation in _HEADED or status not in SUCCESS else []
        headers = [(name.decode(), _text(value)) for name, value in wanted]
        answer = Response(status, headers, b"".join(self._body))
        self._body = []
        if self._stays and self._body_out is None and not self._transport.get_write_buffer_size():
            self._flight, self.since = None, time.monotonic()
            self._owner.freed(self)
        else:
            self.abort()
        self._owner.answered(flight, answer)

    def _fail(self, flight: Flight, error: WorkerError) -> None:
        self.abort()
        self._owner.answered(flight, error)


def keep_alive(connected: socket.socket) -> None:
    """Let TCP notice a peer that has gone, and keep what lies between from forgetting the connection."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):  # as on Linux
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _most(flight: Flight, status: int) -> int:
    if status not in SUCCESS:
        return LONGEST_REFUSAL
    return WHOLE if flight.request.operation == "GetObject" else LONGEST_ANSWER


def _too_long(flight: Flight, most: int) -> WorkerError:
    """TooLargeError of an object, which is read in ranges then; nothing else of S3 is so long."""
    told = f"{flight.what}: the answer has more than {most} bytes"
    return TooLargeError(told) if most == WHOLE else ItemError(told)


def _long_headers(flight: Flight) -> ItemError:
    return ItemError(f"{flight.what}: the answer's headers have more than {LONGEST_HEADERS} bytes")


def _size(fields: list[Field]) -> int:
    return sum(len(name) + len(value) for name, value in fields)


def _length(headers: list[Field]) -> int:
    return next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)


def _text(value: bytes) -> str:
    """What is no UTF-8 survives the way there and back."""
    return value.decode(errors="surrogateescape")
