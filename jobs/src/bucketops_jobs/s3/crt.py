"""The wire on awscrt: hundreds of requests in flight on one native thread. Retries are off: they belong to the pace.

https://awslabs.github.io/aws-crt-python/api/s3.html
"""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, ClientTlsContext, DefaultHostResolver, EventLoopGroup, TlsContextOptions
from awscrt.s3 import (
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    S3RetryConfig,
    S3RetryMode,
    create_default_s3_signing_config,
)

from bucketops_jobs.errors import TooLargeError, TransientError, WorkerError
from bucketops_jobs.s3 import failures
from bucketops_jobs.s3.wire import Place, Request, Response

Done = Callable[[Response | WorkerError], None]
CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
SLOWEST = 10 << 20
"""Bytes a second that a server copies at least: its answer to a large copy may take that much longer."""
_HEADED = frozenset({"GetObject", "HeadObject", "PutObject"})
"""Calls whose answer is (partly) in its headers; they are not fetched from awscrt for the others."""
_GBPS_PER_CONNECTION = 1.0
"""Awscrt opens no more connections than its throughput target asks for, whatever the override allows: 25 by default."""
WHOLE = 8 << 20
"""Bytes of the largest body that is held in memory."""


@dataclass(slots=True)
class _Flight:
    """A request under way; `native` keeps awscrt's object alive."""

    what: str
    done: Done
    deadline: float
    most: float
    """Bytes of the largest body that is taken."""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    native: Any = None
    late: bool = False


class Wire:
    """Connections to one bucket's host."""

    def __init__(
        self, where: Place, region: str, identity: AwsCredentialsProvider, ca: Path | None, concurrency: int
    ) -> None:
        self._host = ("host", where.host)
        self._client = _client(where, region, identity, ca, concurrency)
        self._flights: dict[int, _Flight] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="overdue", daemon=True).start()

    def send(self, request: Request, what: str, done: Done) -> Callable[[], None]:
        """Begin; `done` is called once, on awscrt's thread. The answer cancels the request, which then is done too."""
        most = WHOLE if request.operation == "GetObject" else math.inf
        flight = _Flight(what, done, time.monotonic() + ANSWER_SECONDS + request.moves / SLOWEST, most)
        headers = [self._host, ("content-length", str(len(request.body))), *request.headers]
        body = io.BytesIO(request.body) if request.body else None
        self._flights[id(flight)] = flight
        flight.native = self._client.make_request(
            type=S3RequestType.DEFAULT,
            operation_name=request.operation,
            request=HttpRequest(request.method, request.path, HttpHeaders(headers), body),
            on_headers=partial(_on_headers, flight) if request.operation in _HEADED else None,
            on_body=partial(_on_body, flight),
            on_done=partial(self._on_done, flight),
        )
        return partial(_cancel, flight)

    def ask(self, request: Request, what: str) -> Response:
        """Send and wait for the answer; its errors are raised."""
        answers: SimpleQueue[Response | WorkerError] = SimpleQueue()
        self.send(request, what, answers.put)
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Cancel what is under way and let awscrt give back the connections."""
        self._closed.set()
        for flight in list(self._flights.values()):
            _cancel(flight)

    def _on_done(self, flight: _Flight, *, error: BaseException | None = None, **_: object) -> None:
        self._flights.pop(id(flight), None)
        flight.native = None  # or both would keep each other until the next garbage collection
        if error is None:
            flight.done(Response(flight.status, flight.headers, b"".join(flight.body)))
        elif flight.late:
            flight.done(TransientError(f"{flight.what}: no answer in time", throttled=True))
        else:
            flight.done(failures.from_crt(error, flight.what, self._host[1]))

    def _watch(self) -> None:
        """Cancel requests whose answer is overdue: a frozen server must not hold a worker for ever."""
        while not self._closed.wait(1):
            now = time.monotonic()
            for flight in [each for each in list(self._flights.values()) if each.deadline < now]:
                flight.late = True
                _cancel(flight)


def _cancel(flight: _Flight) -> None:
    native = flight.native
    if native is not None:
        native.cancel()


def _on_headers(flight: _Flight, *, status_code: int, headers: list[tuple[str, str]], **_: object) -> None:
    flight.status, flight.headers = status_code, headers
    length = next((value for name, value in headers if name.lower() == "content-length"), "0")
    if int(length) > flight.most:
        raise TooLargeError(f"{flight.what}: {length} bytes are more than one request carries")


def _on_body(flight: _Flight, *, chunk: bytes, **_: object) -> None:
    flight.body.append(chunk)


@cache
def _bootstrap() -> ClientBootstrap:
    """One native thread per process serves all connections."""
    loops = EventLoopGroup(1)
    return ClientBootstrap(loops, DefaultHostResolver(loops))


def _client(where: Place, region: str, identity: AwsCredentialsProvider, ca: Path | None, concurrency: int) -> S3Client:
    return S3Client(
        bootstrap=_bootstrap(),
        region=region,
        tls_mode=S3RequestTlsMode.ENABLED if where.tls else S3RequestTlsMode.DISABLED,
        tls_connection_options=_tls(ca) if where.tls and ca else None,
        signing_config=create_default_s3_signing_config(region=region, credential_provider=identity),
        max_active_connections_override=concurrency,
        throughput_target_gbps=concurrency * _GBPS_PER_CONNECTION,
        retry_config=S3RetryConfig(retry_mode=S3RetryMode.NONE),
        connect_timeout_ms=CONNECT_SECONDS * 1000,
    )


def _tls(ca: Path) -> Any:  # noqa: ANN401 - awscrt has no types
    options = TlsContextOptions()
    options.override_default_trust_store_from_path(None, str(ca))
    return ClientTlsContext(options).new_connection_options()
