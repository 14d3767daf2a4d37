"""The way to a bucket's host: hundreds of requests in flight on one thread. Retries belong to the pace."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

from bucketops_jobs.errors import TransientError, WorkerError
from bucketops_jobs.s3 import failures, signing, wire
from bucketops_jobs.s3.connection import Connection, Done, Flight
from bucketops_jobs.s3.signing import Credentials, Identity
from bucketops_jobs.s3.together import Together
from bucketops_jobs.s3.wire import Place, Request, Response

CONNECT_SECONDS = 5.0
"""For the name, the connection and TLS."""
ANSWER_SECONDS = 60.0
SLOWEST = 10 << 20
"""Bytes a second that a server copies at least: its answer to a large copy may take that much longer."""
_REFUSALS = {400, 401, 403}
"""What a server answers to a key that it does not know, or that has expired; to a HEAD without a word."""
IDLE_SECONDS = 60.0
"""A free connection is used so long: network devices forget one without a word after some minutes."""


class Wire:
    """Connections to one bucket's host, as many as there are requests under way."""

    def __init__(self, where: Place, region: str, identity: Identity, ca: Path | None) -> None:
        url = urlsplit(f"//{where.host}")
        self._host = where.host
        self._address = (url.hostname or "", url.port or (443 if where.tls else 80))
        self._tls = trust(ca) if where.tls else None
        self._region = region
        self._identity = identity
        self._outbox: deque[Flight] = deque()
        self._noticed = False
        """Whether the loop's thread has been told to look into the outbox."""
        self._flights: set[Flight] = set()
        self._free: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self._loop = _loop()
        self._loop.call_soon_threadsafe(self._watch)

    def send(self, request: Request, what: str, done: Done) -> Callable[[], None]:
        """Begin; `done` is called once, mostly on the loop's thread. What is returned cancels, and then it is done."""
        try:
            who = self._identity()
            data = wire.serialized(request, self._signed(request, self._host, who))
        except WorkerError as error:
            done(error)
            return _nothing
        deadline = time.monotonic() + ANSWER_SECONDS + request.moves / SLOWEST
        flight = Flight(request, what, data, done, deadline, who)
        self._outbox.append(flight)
        if not self._noticed:
            self._noticed = True
            self._loop.call_soon_threadsafe(self._begin)
        return partial(self._cancel, flight)

    def signed(self, request: Request, host: str) -> wire.Headers:
        """All headers of a request to a host, in the name of who calls here; what expires is refreshed."""
        return self._signed(request, host, self._identity())

    def _signed(self, request: Request, host: str, who: Credentials) -> wire.Headers:
        return signing.sign(request, host, who, self._region, time.time())

    def ask(self, request: Request, what: str) -> Response:
        """Send and wait for the answer; its errors are raised."""
        answers: SimpleQueue[Response | WorkerError] = SimpleQueue()
        self.send(request, what, answers.put)
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Cancel what is under way and give back the connections."""
        self._loop.call_soon_threadsafe(self._close)

    def _cancel(self, flight: Flight) -> None:
        self._loop.call_soon_threadsafe(self._give_up, flight, "cancelled")

    def answered(self, flight: Flight, answer: Response | WorkerError) -> None:
        """Of Owner."""
        if not flight.over:
            flight.over, flight.connection = True, None
            self._flights.discard(flight)
            flight.done(answer if isinstance(answer, WorkerError) else self._judged(flight, answer))

    def _judged(self, flight: Flight, answer: Response) -> Response | WorkerError:
        """A refusal of who calls no more is none of who calls now: the request is signed and sent again."""
        told = failures.judged(flight.request, answer, flight.what)
        if isinstance(told, WorkerError) and answer.status in _REFUSALS and self._replaced(flight):
            return TransientError(f"{told}: its credentials have been replaced since")
        return told

    def _replaced(self, flight: Flight) -> bool:
        try:
            return self._identity() != flight.who
        except WorkerError:
            return False

    def freed(self, connection: Connection) -> None:
        """Of Owner."""
        if self._closed:
            connection.abort()
        else:
            self._free.append(connection)

    def lost(self, connection: Connection, unheard: Flight | None) -> None:
        """Of Owner. A server may close a free connection at the very moment: https://www.rfc-editor.org/rfc/rfc9112#name-retrying-requests."""
        if connection in self._free:
            self._free.remove(connection)
        if unheard:
            self._open(unheard)

    def _begin(self) -> None:
        self._noticed = False
        while self._outbox:
            flight = self._outbox.popleft()
            self._flights.add(flight)
            if self._closed:
                self._give_up(flight, "the store is closed")
            elif self._free:
                self._free.pop().carry(flight)
            else:
                self._open(flight)

    def _open(self, flight: Flight) -> None:
        task = self._loop.create_task(self._connect(flight))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, flight: Flight) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await self._loop.create_connection(
                    partial(Connection, self), *self._address, ssl=self._tls
                )
        except (OSError, UnicodeError) as error:  # the latter: no name of a host
            self.answered(flight, failures.of_connection(error, f"{flight.what}, at {self._host}"))
            return
        if flight.over:
            self.freed(connection)
        else:
            connection.carry(flight)

    def _give_up(self, flight: Flight, why: str, *, throttled: bool = False) -> None:
        if flight.connection:
            flight.connection.abort()
        self.answered(flight, TransientError(f"{flight.what}: {why}", throttled=throttled))

    def _watch(self) -> None:
        """Each second. A frozen server must not hold a worker for ever; old connections are not trusted."""
        now = time.monotonic()
        for flight in [each for each in self._flights if each.deadline < now]:
            self._give_up(flight, "no answer in time", throttled=True)
        while self._free and self._free[0].since < now - IDLE_SECONDS:
            self._free.pop(0).abort()
        if not self._closed:
            self._loop.call_later(1, self._watch)

    def _close(self) -> None:
        self._closed = True
        for flight in list(self._flights):
            self._give_up(flight, "the store is closed")
        for connection in self._free:
            connection.abort()


def _nothing() -> None:
    """Cancels what never began."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One thread of the process serves all connections."""
    loop = asyncio.SelectorEventLoop(Together())
    threading.Thread(target=loop.run_forever, name="http", daemon=True).start()
    return loop


@cache
def trust(ca: Path | None) -> ssl.SSLContext:
    """The system's authorities, or those of one file alone."""
    return ssl.create_default_context(cafile=ca)
