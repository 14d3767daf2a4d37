"""A streaming replica of a test's PostgreSQL, whose replay can be held."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from support.servers import Server, dsn_of, postgres_binaries, start_copy


class Replica:
    """Behind for as long as `hold` says."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def port(self) -> int:
        return self._server.port

    def promote(self) -> None:
        """It is the primary from now on, with what it has received."""
        self._call("SELECT pg_promote()")

    def hold(self) -> None:
        """Receive everything and show nothing of it."""
        self._call("SELECT pg_wal_replay_pause()")

    def go_on(self) -> None:
        """Catch up."""
        self._call("SELECT pg_wal_replay_resume()")

    def has(self, place: str) -> bool:
        """Whether it shows everything up to a place in the primary's log."""
        return ask(self.port, f"SELECT pg_last_wal_replay_lsn() >= '{place}'") is True

    def _call(self, statement: str) -> None:
        ask(self.port, statement)


def ask(port: int, statement: str) -> Any:
    """The one value that a server answers its administrator."""
    connection: Any = psycopg2.connect(dsn_of(port))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (value,) = cursor.fetchone()
    connection.close()
    return value


@contextmanager
def replica_of(port: int) -> Iterator[Replica]:
    """Copied from the primary behind this port as it is now, and streaming from there."""
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    who = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    with tempfile.TemporaryDirectory(prefix="bucketops-replica-") as name:
        folder = Path(name)
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        place = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-D", folder / "pgdata"]
        subprocess.run(
            [postgres_binaries() / "pg_basebackup", *place, "-R", "-c", "fast", "-X", "stream"],
            check=True,
            cwd=folder,
            **who,
        )
        server = start_copy(folder)
        yield Replica(server)
        server.stop()
