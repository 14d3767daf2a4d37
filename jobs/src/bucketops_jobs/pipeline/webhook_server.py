"""Connections that post events: at most 64 at once, one request and one answer each, and ten seconds for all of it."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Self

from bucketops_api import names
from bucketops_jobs.pipeline import webhook_request
from bucketops_jobs.pipeline.webhook_request import Head, RequestError

log = logging.getLogger(__name__)

CONNECTIONS = 64
CONNECTION_SECONDS = 10.0
"""From accept to answer, however slowly the bytes come: TLS, head and body together."""
LINGER_SECONDS = 1.0
"""What a refused sender still sends is read for so long: a reset would take the answer away from it."""
_BACKLOG = 128
_BLOCK = 1 << 16
_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 5

Body = Callable[[int], bytes]
"""Read so many bytes."""
Answer = Callable[[Head, Body], HTTPStatus]


class Connection:
    """One connection with its deadline; TimeoutError when that is over, ConnectionError when the sender has gone."""

    def __init__(self, taken: socket.socket, context: ssl.SSLContext | None) -> None:
        self._until = time.monotonic() + CONNECTION_SECONDS
        self._socket, self._rest, self._waits = taken, b"", False
        if context is not None:
            self._socket = context.wrap_socket(taken, server_side=True, do_handshake_on_connect=False)

    def head(self) -> Head:
        """Read up to the empty line."""
        self._wait()
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.do_handshake()
        while webhook_request.END not in self._rest:
            if len(self._rest) > webhook_request.HEAD_BYTES:
                raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            self._rest += self._read(_BLOCK)
        text, _, self._rest = self._rest.partition(webhook_request.END)
        if len(text) > webhook_request.HEAD_BYTES:
            raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        head = webhook_request.parse(text)
        self._waits = head.fields.get(b"expect", b"").lower() == b"100-continue"
        return head

    def body(self, length: int) -> bytes:
        """Read the body; a client that waits for leave (curl does, of large ones) is given it."""
        if self._waits and len(self._rest) < length:
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts = [self._rest[:length]]
        left = length - len(parts[0])
        while left:
            parts.append(self._read(min(left, _BLOCK)))
            left -= len(parts[-1])
        return b"".join(parts)

    def answer(self, status: HTTPStatus) -> None:
        """Send the one answer."""
        again = f"Retry-After: {_AGAIN_SECONDS}\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
        text = f"HTTP/1.1 {status} {status.phrase}\r\n{again}Content-Length: 0\r\nConnection: close\r\n\r\n"
        self._socket.settimeout(LINGER_SECONDS)
        self._socket.sendall(text.encode())

    def close(self) -> None:
        """Say that nothing more comes, read what the sender still sends for a moment, and close."""
        raw, until = socket.socket, time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            raw.shutdown(self._socket, socket.SHUT_WR)
            while (left := until - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not raw.recv(self._socket, _BLOCK):
                    break
        self._socket.close()

    def _read(self, most: int) -> bytes:
        self._wait()
        found = self._socket.recv(most)
        if not found:
            raise ConnectionError("the sender has gone")
        return found

    def _wait(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


class Server:
    """Listens on IPv6 and IPv4 from its construction until it is closed; `context` answers the TLS context of now."""

    def __init__(self, port: int, answer: Answer, context: Callable[[], ssl.SSLContext | None] = lambda: None) -> None:
        self._answer, self._context = answer, context
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._stop = threading.Event()
        self._socket = listening(port)
        self._socket.settimeout(_LOOK_SECONDS)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="webhook", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more connections; those that are there get their answers."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
        until = time.monotonic() + CONNECTION_SECONDS
        for _n in range(CONNECTIONS):
            self._free.acquire(timeout=max(0.0, until - time.monotonic()))

    def _accept(self) -> None:
        """No connection is accepted while there are 64: others wait in the kernel's queue."""
        while not self._stop.is_set():
            if not self._free.acquire(timeout=_LOOK_SECONDS):
                continue
            try:
                taken, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(taken,), name="posted", daemon=True).start()
            except (OSError, RuntimeError) as error:  # no sender within the time, no descriptor, no thread
                self._free.release()
                if not isinstance(error, TimeoutError):
                    log.warning("a connection could not be taken", extra={"why": str(error)})
                    self._stop.wait(_LOOK_SECONDS)

    def _serve(self, taken: socket.socket) -> None:
        try:
            connection = Connection(taken, self._context())
            try:
                connection.answer(self._status(connection))
            finally:
                connection.close()
        except OSError as error:
            log.debug("a connection ended early", extra={"why": str(error)})
        except Exception:
            log.exception("a connection met an error of ours")
        finally:
            taken.close()
            self._free.release()

    def _status(self, connection: Connection) -> HTTPStatus:
        try:
            return self._answer(connection.head(), connection.body)
        except RequestError as error:
            return error.status
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT
        except OSError:
            raise
        except Exception:
            log.exception("a request met an error of ours")
            return HTTPStatus.INTERNAL_SERVER_ERROR


def listening(port: int) -> socket.socket:
    """Return a socket that listens on every address of both families, or on IPv4 alone where there is no IPv6.

    BUCKETOPS_LISTEN names one address instead.
    """
    if address := os.environ.get(names.ENV_LISTEN):
        return socket.create_server((address, port), backlog=_BACKLOG)
    if socket.has_dualstack_ipv6():
        with suppress(OSError):  # IPv6 may be switched off in the kernel
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=_BACKLOG)
