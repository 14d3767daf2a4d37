"""A TCP address of loopback that stays while the server behind it changes, stalls, or is cut off in mid-sentence."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import Enum
from typing import Self


class Cut(Enum):
    """When a connection is cut: what the client has said is never heard, is heard, or is answered and nobody hears."""

    UNHEARD = 1
    HEARD = 2
    ANSWERED = 3


Rule = Callable[[bytes], Cut | None]
"""Told of everything that clients say."""


class Relay:
    """Passes to a port of loopback whatever comes, but as the rule says."""

    def __init__(self, target: int, rule: Rule = lambda _: None) -> None:
        self.target, self.rule = target, rule
        self._open: set[tuple[socket.socket, socket.socket]] = set()
        self._deaf: set[socket.socket] = set()
        """Servers whose next answer nobody hears."""
        self._flows = threading.Event()
        self._flows.set()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.go_on()
        self.cut()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def turn(self, target: int) -> None:
        """The address is another server's from now on."""
        self.target = target
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for pair in list(self._open):
            _end(*pair)

    def stall(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._flows.clear()

    def go_on(self) -> None:
        """What waited arrives."""
        self._flows.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            self._open.add((client, server))
            back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            back.start()
            self._ask(client, server)
            back.join()
            self._open.discard((client, server))

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                self._flows.wait()
                cut = self.rule(data)
                if cut is Cut.UNHEARD:
                    break
                if cut is Cut.ANSWERED:
                    self._deaf.add(server)
                server.sendall(data)
                if cut is Cut.HEARD:
                    break
        _end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                self._flows.wait()
                if server in self._deaf:
                    break
                client.sendall(data)
        self._deaf.discard(server)
        _end(client, server)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
