"""A PostgreSQL that dies and comes back, or whose standby takes over, behind an address that stays."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.cluster import wait_for
from support.relay import Relay
from support.replica import Replica, ask, replica_of
from support.servers import start_copy, start_postgres


class Mortal:
    """A server in a folder; clients come by the relay."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._server = folder, start_postgres(folder)

    @property
    def port(self) -> int:
        return self._server.port

    def die(self) -> None:
        """At once, as by a loss of power: no client is told, no transaction ends."""
        self._server.process.send_signal(signal.SIGQUIT)
        self._server.process.wait(30)

    def live(self) -> None:
        """On the same port, with what was committed; nothing happens if it lives."""
        if self._server.process.poll() is not None:
            self._server = start_copy(self._folder, self.port)

    def stop(self) -> None:
        self._server.stop()


class Standby:
    """A replica of a mortal server that takes its place; what it has not heard by then is lost."""

    def __init__(self, mortal: Mortal, replica: Replica, wire: Relay) -> None:
        self._mortal, self._replica, self._wire = mortal, replica, wire

    @property
    def port(self) -> int:
        return self._replica.port

    def hears_no_more(self) -> None:
        """What is there by now it has; its primary goes on without it, as one that waits for no standby does."""
        place = ask(self._mortal.port, "SELECT pg_current_wal_lsn()")
        wait_for("the standby has caught up", lambda: self._replica.has(place))
        self._wire.stall()

    def take_over(self, address: Relay) -> None:
        """The primary dies, and its address becomes the standby's."""
        self._mortal.die()
        self._replica.promote()
        address.turn(self._replica.port)


@contextmanager
def standby_of(mortal: Mortal) -> Iterator[Standby]:
    with Relay(mortal.port) as wire, replica_of(wire.port) as replica:
        yield Standby(mortal, replica, wire)
