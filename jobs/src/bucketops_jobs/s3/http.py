"""The way to a bucket's host: hundreds of requests in flight on one thread. Retries belong to the pace."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bucketops_jobs.errors import ASK, ItemError, OddAnswerError, TransientError, UserError, WorkerError
from bucketops_jobs.s3 import failures, proxies, wire
from bucketops_jobs.s3.connection import Connection, Flight
from bucketops_jobs.s3.route import Route, refused_by, trust
from bucketops_jobs.s3.signer import REFUSED_SIGNATURE, Proof, Signer
from bucketops_jobs.s3.signing import Identity
from bucketops_jobs.s3.together import Together
from bucketops_jobs.s3.wire import Headers, Place, Request, Response

log = logging.getLogger(__name__)

T = TypeVar("T")
CONNECT_SECONDS = 5.0
"""For the name, the connection, the proxy and TLS."""
ANSWER_SECONDS = 60.0
SLOWEST = 10 << 20
"""Bytes a second that a server copies at least: its answer to a large copy may take that much longer."""
SLOWEST_LINK = 256 << 10
"""Bytes a second at which a body goes out, at least."""
IDLE_SECONDS = 60.0
"""A free connection is used so long: network devices forget one without a word after some minutes."""
_REFUSALS = {400, 401, 403}
"""What a server answers to a key that it does not know, or that has expired; to a HEAD without a word."""
_PROXY_REFUSES = 407
_MOST_SENT = 5
"""Times that one request is signed anew because of what it was told, at most."""
_EXCERPT = 200
"""Bytes that are told of an answer that cannot be read."""


_SENT_AGAIN = object()


def itself(answer: Response) -> Response:
    """An answer as it came."""
    return answer


class Wire:
    """Connections to one bucket's host, as many as there are requests under way."""

    def __init__(
        self,
        where: Place,
        region: str,
        identity: Identity,
        ca: Path | None,
        elsewhere: Callable[[str], Place] | None = None,
    ) -> None:
        """`elsewhere`: as Signer has it."""
        self._signer, self._ca = Signer(where, region, identity, elsewhere), ca
        self._free: list[Connection] = []
        self._find_route()
        self._outbox: deque[Flight] = deque()
        self._noticed = False
        """Whether the loop's thread has been told to look into the outbox."""
        self._flights: set[Flight] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self._loop = _loop()
        self._loop.call_soon_threadsafe(self._watch)

    def _find_route(self) -> None:
        """The way to where the bucket is now; connections to another host are of no use any more."""
        where = self._signer.where
        url = urlsplit(f"//{where.host}")
        host, port = url.hostname or "", url.port or (443 if where.tls else 80)
        self._proxy = proxies.found(tls=where.tls, host=host, port=port)
        self._host, self._route = where.host, Route(host, port, trust(self._ca) if where.tls else None, self._proxy)
        self._through = f"http://{where.host}" if self._proxy and not where.tls else ""
        proof = f"proxy-authorization: {self._proxy.authorization}\r\n" if self._through and self._proxy else ""
        self._for_proxy = proof.encode() if self._proxy and self._proxy.authorization else b""
        """Both only in requests that a proxy passes on as they are."""
        free, self._free = self._free, []
        for connection in free:
            connection.abort()

    def send(
        self,
        request: Request,
        what: str,
        done: Callable[[T | WorkerError], None],
        read: Callable[[Response], T] = itself,  # type: ignore[assignment]  # T is Response then
    ) -> Callable[[], None]:
        """Begin; `done` is called once, mostly on the loop's thread, with what `read` makes of the answer.

        What goes wrong in `read` is this request's error. What is returned cancels, and then it is done.
        """
        try:
            signed = self._head(request)
        except WorkerError as error:
            done(error)
            return _nothing
        flight = _flight(request, what, signed, read, done)
        self._outbox.append(flight)
        if not self._noticed:
            self._noticed = True
            self._loop.call_soon_threadsafe(self._begin)
        return partial(self._cancel, flight)

    def _head(self, request: Request, before: Proof | None = None) -> tuple[bytes, Proof]:
        head, proof = self._signer.head(request, self._through, before)
        return (head[:-2] + self._for_proxy + b"\r\n" if self._for_proxy else head), proof

    def signed(self, request: Request, host: str) -> Headers:
        """All headers of a request to a host, in the name of who calls here; what expires is refreshed."""
        return self._signer.signed(request, host)

    def ask(
        self,
        request: Request,
        what: str,
        read: Callable[[Response], T] = itself,  # type: ignore[assignment]  # as above
    ) -> T:
        """Send and wait for what `read` makes of the answer; its errors are raised."""
        answers: SimpleQueue[T | WorkerError] = SimpleQueue()
        self.send(request, what, answers.put, read)
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def located(self) -> str:
        """The bucket's region, asked of the server where it is not certain yet; WorkerError."""
        if not self._signer.certain:
            with suppress(ItemError):
                self.ask(self._question(), "look for the bucket's region", itself)
        return self._signer.region

    def _question(self) -> Request:
        """What every caller may ask who may do anything here; a refusal tells as much."""
        return Request("ListObjectsV2", "GET", f"{self._signer.where.bucket_path}?list-type=2&max-keys=1")

    def close(self) -> None:
        """Cancel what is under way and give back the connections."""
        self._loop.call_soon_threadsafe(self._close)

    def _cancel(self, flight: Flight) -> None:
        self._loop.call_soon_threadsafe(self._give_up, flight, "cancelled")

    def answered(self, flight: Flight, answer: Response | WorkerError) -> None:
        """Of Owner."""
        if flight.over:
            return
        flight.connection = None
        try:
            result = answer if isinstance(answer, WorkerError) else self._judged(flight, answer)
        except WorkerError as error:
            result = error
        except Exception as error:  # noqa: BLE001 - who waits for an answer must hear of whatever went wrong
            result = _unreadable(flight, answer, error)
        if result is not _SENT_AGAIN:
            self._end(flight, result)

    def _end(self, flight: Flight, result: Any) -> None:  # noqa: ANN401 - what `read` makes, or a WorkerError
        if flight.over:
            return
        flight.over = True
        self._flights.discard(flight)
        try:
            flight.done(result)
        except Exception:
            log.exception("nobody hears of an answer", extra={"request": flight.what})

    def _judged(self, flight: Flight, answer: Response) -> Any:  # noqa: ANN401 - what `read` makes of it
        """A refusal of who calls no more is none of who calls now: the request is signed and sent again."""
        if not wire.refused(flight.request, answer):
            self._signer.accepted(flight.request, flight.proof)
            return flight.read(answer)
        if answer.status == _PROXY_REFUSES and self._proxy is not None:
            return refused_by(self._proxy)
        told = failures.of_answer(answer, flight.what, flight.proof.region)
        if answer.status in _REFUSALS and self._signer.replaced(flight.proof):
            return TransientError(f"{told}: its credentials have been replaced since")
        if self._signer.another_way(flight.request, flight.proof, answer) and flight.sent < _MOST_SENT:
            return self._send_again(flight)
        doubted = wire.error_of(answer.body)[0] == REFUSED_SIGNATURE and flight.proof.who == self._signer.believed
        return self._ask_whether_believed(flight, told) if doubted and not flight.vouches else told

    def _send_again(self, flight: Flight) -> object:
        """Sign it as the server has told; nothing has been done yet, for it was refused."""
        if self._host != self._signer.where.host:
            self._find_route()
        flight.head, flight.proof = self._head(flight.request, flight.proof)
        flight.sent, flight.deadline = flight.sent + 1, time.monotonic() + flight.patience
        self._dispatch(flight)
        return _SENT_AGAIN

    def _ask_whether_believed(self, flight: Flight, refusal: WorkerError) -> object:
        """A signature is refused of somebody who was believed before: a plain request shows if he still is."""

        def vouched(answer: Response | WorkerError) -> None:
            own = ItemError(f"{flight.what}: {REFUSED_SIGNATURE}, of this object alone: change its name or metadata")
            told = refusal if isinstance(answer, UserError) else answer
            self._end(flight, told if isinstance(told, UserError | TransientError) else own)

        request = self._question()
        flight.deadline = flight.latest = time.monotonic() + 2 * ANSWER_SECONDS  # the other one's is over before
        other = _flight(request, flight.what, self._head(request), itself, vouched)
        other.vouches = True
        self._flights.add(other)
        self._dispatch(other)
        return _SENT_AGAIN

    def freed(self, connection: Connection) -> None:
        """Of Owner."""
        if self._closed or connection.host != self._host:
            connection.abort()
        else:
            self._free.append(connection)

    def lost(self, connection: Connection, unheard: Flight | None) -> None:
        """Of Owner."""
        if connection in self._free:
            self._free.remove(connection)
        if unheard:
            self._open(unheard)

    def _begin(self) -> None:
        self._noticed = False
        while self._outbox:
            flight = self._outbox.popleft()
            self._flights.add(flight)
            self._dispatch(flight)

    def _dispatch(self, flight: Flight) -> None:
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
                connection = await self._route.connect(self._loop, partial(Connection, self, self._host))
            if flight.over:
                self.freed(connection)
            else:
                connection.carry(flight)
        except WorkerError as error:
            self.answered(flight, error)
        except Exception as error:  # noqa: BLE001 - as above; UnicodeError and ValueError: no name of a host
            by = f", by the proxy {self._proxy}" if self._proxy else ""
            self.answered(flight, failures.of_connection(error, f"{flight.what}, at {self._host}{by}"))

    def _give_up(self, flight: Flight, why: str, *, throttled: bool = False) -> None:
        if flight.connection:
            flight.connection.abort()
        self._end(flight, TransientError(f"{flight.what}: {why}", throttled=throttled))

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


def _flight(
    request: Request,
    what: str,
    signed: tuple[bytes, Proof],
    read: Callable[[Response], T],
    done: Callable[[T | WorkerError], None],
) -> Flight:
    now, patience = time.monotonic(), ANSWER_SECONDS + request.moves / SLOWEST
    latest = now + patience + len(request.body) / SLOWEST_LINK
    return Flight(request, what, *signed, read, done, now + patience, latest, patience)


def _unreadable(flight: Flight, answer: object, error: Exception) -> OddAnswerError:
    said = answer.body[:_EXCERPT] if isinstance(answer, Response) else b""
    why = f"{type(error).__name__}: {error}"[:_EXCERPT]
    return OddAnswerError(f"{flight.what}: the answer cannot be read ({why}): {said!r}: {ASK}")


def _nothing() -> None:
    """Cancels what never began."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One thread of the process serves all connections."""
    loop = asyncio.SelectorEventLoop(Together())
    threading.Thread(target=loop.run_forever, name="http", daemon=True).start()
    return loop
